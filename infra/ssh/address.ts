/** Address of this machine as an emulated host sees it (QEMU's user-mode network). */
export const machineFromInside = "10.0.2.2";

/**
 * Where one host finds another's ports. A virtual host's are on this machine's loopback, which from inside another virtual
 * host has an address of its own.
 * @param insideVirtual whether the one that looks is virtual
 */
export function addressFrom(insideVirtual: boolean, host: { isVirtual: boolean; address: string }): string {
  return host.isVirtual && insideVirtual ? machineFromInside : host.address;
}

/** `address:port` as it stands in a URL: an IPv6 address goes into brackets. */
export function hostAndPort(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}
