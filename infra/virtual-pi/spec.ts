import { z } from "zod";
import { virtualLimits, virtualName } from "../config/host-schema.ts";

/** What a virtual Pi is asked to be. */
export const virtualPiSpec = z.strictObject({
  /** Name of the machine, its folder and its host name. */
  name: virtualName,
  /** Memory in MiB. A Pi 4 has 1024, 2048, 4096 or 8192. */
  memoryMiB: whole("a whole number of MiB", ...virtualLimits.memoryMiB),
  /** Emulated Cortex-A72 cores; a Pi 4 has 4. */
  cpus: whole("a whole number of cores", ...virtualLimits.cpus),
  /** Size of the root disk in GiB. It takes only the room that is written to. */
  diskGiB: whole("a whole number of GiB", ...virtualLimits.diskGiB),
  /** Digest of the image it is made from (`toolchain/virtual-pi-image`). */
  imageDigest: z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hex"),
  /** Ports of the machine to reach from this computer's loopback, by name, e.g. `{ http: 8080 }`. */
  forwards: z.record(z.string(), whole("a port", 1, 65535)).default({}),
});

export type VirtualPiSpec = z.infer<typeof virtualPiSpec>;

/** Inputs of `pipress:index:VirtualPi`. */
export const virtualPiInputs = virtualPiSpec.extend({
  /** Of the stack that it belongs to (`StackId`): two stacks may each have a machine of one name. */
  stackId: z.string().regex(/^[0-9a-f]{8}$/, "must be eight hex digits"),
});

/** What is known of a machine that was created, kept in its folder as `machine.json`. */
export interface MachineRecord extends VirtualPiSpec {
  /** Loopback port of its sshd. */
  sshPort: number;
  /** Loopback port of each forward, by the forward's name. */
  ports: Record<string, number>;
  /** Its host key, `ssh-ed25519 AAAA…`. */
  hostKey: string;
}

function whole(what: string, from: number, to: number): z.ZodNumber {
  const error = `must be ${what} from ${from} to ${to}`;
  return z.number({ error }).int({ error }).min(from, { error }).max(to, { error });
}
