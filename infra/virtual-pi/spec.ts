/** What a virtual Pi is asked to be. */
export interface VirtualPiSpec {
  /** Name of the machine, its folder and its host name: lower-case letters, digits and hyphens. */
  name: string;
  /** Memory in MiB. A Pi 4 has 1024, 2048, 4096 or 8192. */
  memoryMiB: number;
  /** Emulated Cortex-A72 cores; a Pi 4 has 4. */
  cpus: number;
  /** Size of the root disk in GiB. It takes only the room that is written to. */
  diskGiB: number;
  /** Digest of the image it is made from (`toolchain/virtual-pi-image`). */
  imageDigest: string;
  /** Ports of the machine to reach from this computer's loopback, by name, e.g. `{ http: 8080 }`. */
  forwards: Record<string, number>;
}

/** What is known of a machine that was created, kept in its folder as `machine.json`. */
export interface MachineRecord extends VirtualPiSpec {
  /** Loopback port of its sshd. */
  sshPort: number;
  /** Loopback port of each forward, by the forward's name. */
  ports: Record<string, number>;
  /** Its host key, `ssh-ed25519 AAAA…`. */
  hostKey: string;
}

export interface InvalidProperty {
  /** Path of the property, e.g. `forwards.http`. */
  property: string;
  reason: string;
}

const limits = {
  memoryMiB: { from: 512, to: 8192, unit: "MiB" },
  cpus: { from: 1, to: 4, unit: "cores" },
  diskGiB: { from: 2, to: 512, unit: "GiB" },
} as const;

/** Everything that is wrong with a specification, by property; empty when it is sound. */
export function checkSpec(spec: Partial<Record<keyof VirtualPiSpec, unknown>>): InvalidProperty[] {
  const problems: InvalidProperty[] = [];
  const refuse = (property: string, reason: string) => problems.push({ property, reason });

  if (typeof spec.name !== "string" || !/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/.test(spec.name))
    refuse("name", "must be 1 to 32 lower-case letters, digits or hyphens, starting with a letter");
  for (const [property, { from, to, unit }] of Object.entries(limits)) {
    const value = spec[property as keyof typeof limits];
    if (!Number.isInteger(value) || (value as number) < from || (value as number) > to)
      refuse(property, `must be a whole number of ${unit} from ${from} to ${to}`);
  }
  if (typeof spec.imageDigest !== "string" || !/^[0-9a-f]{64}$/.test(spec.imageDigest))
    refuse("imageDigest", "must be a SHA-256 in hex");
  const forwards = spec.forwards ?? {};
  if (typeof forwards !== "object") refuse("forwards", "must map names to ports");
  else
    for (const [name, port] of Object.entries(forwards))
      if (!Number.isInteger(port) || port < 1 || port > 65535)
        refuse(`forwards.${name}`, "must be a port, 1 to 65535");
  return problems;
}
