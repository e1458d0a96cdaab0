import * as pulumi from "@pulumi/pulumi";
import type { HostConfig } from "../config/schema.ts";
import type { Toolchain } from "../toolchain.ts";
import { VirtualPi } from "../virtual-pi/virtual-pi.ts";

/** How Ansible reaches a host. */
export interface HostConnection {
  name: string;
  address: string;
  port: number;
  user: string;
  privateKeyFile?: string;
  /** Public host key, verified on every connection. */
  hostKey: string;
}

/** A host of the fleet, real or virtual. */
export interface Host {
  name: string;
  isVirtual: boolean;
  build: HostConfig["build"];
  connection: pulumi.Output<HostConnection>;
  /** Base URL at which clients reach llama-server, without `/v1`. */
  endpoint: pulumi.Output<string>;
  /** The virtual machine, whose end ends everything on it. */
  machine?: VirtualPi;
  readyWhen: readonly pulumi.Resource[];
}

/**
 * Declares a host: a virtual one is made, a real one is taken as it is.
 * @param servicePort port of llama-server on the host
 */
export function makeHost(config: HostConfig, servicePort: number, toolchain: Toolchain): Host {
  const { name, build } = config;
  if (!("virtual" in config)) {
    const { address, port, user, privateKeyFile, hostKey } = config;
    return {
      name,
      build,
      isVirtual: false,
      connection: pulumi.output({ name, address, port, user, privateKeyFile, hostKey }),
      endpoint: pulumi.output(`http://${address}:${servicePort}`),
      readyWhen: [],
    };
  }
  const { memory, cpus, disk } = config.virtual;
  const machine = new VirtualPi(name, {
    name,
    memoryMiB: Math.floor(memory / 2 ** 20),
    cpus,
    diskGiB: Math.floor(disk / 2 ** 30),
    imageDigest: toolchain.virtualPiImage.digest,
    forwards: { http: servicePort },
  });
  const { address, sshPort, user, privateKeyFile, hostKey, ports } = machine;
  return {
    name,
    build,
    isVirtual: true,
    machine,
    connection: pulumi.output({ name, address, port: sshPort, user, privateKeyFile, hostKey }),
    endpoint: pulumi.interpolate`http://${address}:${ports.apply(({ http }) => http)}`,
    readyWhen: [machine],
  };
}
