import * as pulumi from "@pulumi/pulumi";
import { secretSudoVars } from "./sudo-passwords.ts";
import type { HostConfig, Settings } from "../config/hosts.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { VirtualPi } from "../virtual-pi/virtual-pi.ts";
import { hostAndPort } from "../ssh/address.ts";
import type { Machine } from "../ssh/machine.ts";

/** What may listen on a host besides llama-server: node exporter, agent check, load balancer, file server for peers. */
export type HostPort = "node" | "agent" | "endpoint" | "peers";

/** A host of the fleet, real or virtual. */
export interface Host extends Omit<Settings, "where" | "sudoPassword"> {
  isVirtual: boolean;
  /** Address at which this machine reaches the host. */
  address: string;
  /** Ports at which this machine reaches what is on the host, by name; `http` is llama-server. */
  ports: pulumi.Output<{ http: number } & Partial<Record<HostPort, number>>>;
  connection: pulumi.Output<Machine>;
  /** What the play may know and no log: the password that sudo asks for. */
  secretVars: Record<string, pulumi.Output<string>>;
  /** Base URL for OpenAI clients: llama-server with `/v1`. */
  baseUrl: pulumi.Output<string>;
  /** The virtual machine, whose end ends everything on it. */
  machine?: VirtualPi;
}

/**
 * Declares a host: a virtual one is made, a real one is taken as it is.
 * @param further what else listens on it, and on which ports
 * @param stackId what tells its virtual machine from another stack's of the same name
 */
export function makeHost(
  config: HostConfig,
  further: Readonly<Partial<Record<HostPort, number>>>,
  toolchain: Toolchain,
  stackId: pulumi.Input<string>,
): Host {
  const { name, group, build, unreachable, takeOver, prepare, labels, server } = config;
  const common = { name, group, build, unreachable, takeOver, prepare, labels, server };
  if (!("virtual" in config)) {
    return {
      ...common,
      isVirtual: false,
      address: config.machine.address,
      ports: pulumi.output({ http: server.port, ...further }),
      connection: pulumi.output(config.machine),
      secretVars: secretSudoVars(config.sudoPassword),
      baseUrl: pulumi.output(`http://${hostAndPort(config.machine.address, server.port)}/v1`),
    };
  }
  const { memory, cpus, disk } = config.virtual;
  const machine = new VirtualPi(name, {
    name,
    stackId,
    memoryMiB: Math.floor(memory / 2 ** 20),
    cpus,
    diskGiB: Math.floor(disk / 2 ** 30),
    imageDigest: toolchain.virtualPiImage.digest,
    forwards: { http: server.port, ...further },
  });
  const { address, sshPort, user, privateKeyFile, hostKey, ports } = machine;
  return {
    ...common,
    isVirtual: true,
    address: "127.0.0.1",
    ports: ports.apply(({ http = 0, ...others }) => ({ http, ...others })),
    machine,
    secretVars: {},
    connection: pulumi.output({ name, address, port: sshPort, user, privateKeyFile, hostKey }),
    baseUrl: pulumi.interpolate`http://${address}:${ports.apply(({ http }) => http)}/v1`,
  };
}
