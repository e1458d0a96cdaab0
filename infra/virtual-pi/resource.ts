/**
 * What the provider does for `pipress:index:VirtualPi`. Plain functions over plain objects, no Pulumi in here: the
 * provider's main hands them what the engine sends.
 */
import { VirtualPiMachine } from "./machine.ts";
import { checkSpec, type InvalidProperty, type MachineRecord, type VirtualPiSpec } from "./spec.ts";

/** Shows a line in the Pulumi display; with `status` it is shown only until the next one comes. */
export type Log = (message: string, options?: { status?: boolean }) => void;

export type VirtualPiInputs = VirtualPiSpec;

export interface VirtualPiOutputs extends VirtualPiInputs {
  /** Where to reach it: always this computer's loopback. */
  address: string;
  sshPort: number;
  user: string;
  /** Absolute path of the private key that logs in as `user`. */
  privateKeyFile: string;
  /** `ssh-ed25519 AAAA…` */
  hostKey: string;
  /** Loopback port of each forward, by its name. */
  ports: Record<string, number>;
  running: boolean;
}

export interface VirtualPiDiff {
  changes: boolean;
  /** Properties that differ. */
  changed: string[];
  /** Of these, the ones that need a new machine. */
  replaces: string[];
  deleteBeforeReplace: boolean;
}

const replacing = ["name", "imageDigest", "diskGiB"] as const;
const restarting = ["memoryMiB", "cpus", "forwards"] as const;

/** Every invalid input, by property path. */
export function check(inputs: Partial<Record<keyof VirtualPiInputs, unknown>>): InvalidProperty[] {
  return checkSpec(inputs);
}

/**
 * Compares the wanted machine with the recorded one, and looks whether it still runs: a machine that has stopped is
 * a change even without a refresh.
 */
export async function diff(olds: VirtualPiOutputs, news: VirtualPiInputs): Promise<VirtualPiDiff> {
  const differs = (property: keyof VirtualPiInputs) => !equal(olds[property], news[property]);
  const replaces = replacing.filter(differs);
  const changed: string[] = [...replaces, ...restarting.filter(differs)];
  if (!(await new VirtualPiMachine(olds.name).isRunning())) changed.push("running");
  // Name, folder and ports are the machine's own, so the old one goes first.
  return { changes: changed.length > 0, changed, replaces, deleteBeforeReplace: true };
}

/** Makes and boots the machine; its id is its name. */
export async function create(
  inputs: VirtualPiInputs,
  log: Log,
): Promise<{ id: string; outs: VirtualPiOutputs }> {
  const machine = new VirtualPiMachine(inputs.name);
  const record = await machine.create(specOf(inputs), status(log));
  return { id: inputs.name, outs: outputs(machine, record, true) };
}

/** The machine as it is now; undefined when it is gone. */
export async function read(id: string): Promise<VirtualPiOutputs | undefined> {
  const machine = new VirtualPiMachine(id);
  const record = await machine.read();
  return record && outputs(machine, record, await machine.isRunning());
}

/** Restarts the machine with new memory, cores or forwards, or starts it again when it had stopped. */
export async function update(
  id: string,
  olds: VirtualPiOutputs,
  news: VirtualPiInputs,
  log: Log,
): Promise<VirtualPiOutputs> {
  const machine = new VirtualPiMachine(id);
  const restart = restarting.some((property) => !equal(olds[property], news[property]));
  const record = restart ? await machine.reconfigure(news, status(log)) : await machine.start(status(log));
  return outputs(machine, record, true);
}

/** Ends the machine and removes all of it; fine when it is gone already. */
async function remove(id: string, log: Log): Promise<void> {
  log("removing", { status: true });
  await new VirtualPiMachine(id).destroy();
}
export { remove as delete };

function outputs(machine: VirtualPiMachine, record: MachineRecord, running: boolean): VirtualPiOutputs {
  return {
    ...record,
    ...{ address: "127.0.0.1", user: "pi", privateKeyFile: machine.folder.privateKey, running },
  };
}

/** Only what a machine is made from; the engine may send more. */
function specOf({ name, memoryMiB, cpus, diskGiB, imageDigest, forwards }: VirtualPiInputs): VirtualPiSpec {
  return { name, memoryMiB, cpus, diskGiB, imageDigest, forwards };
}

function status(log: Log) {
  return (message: string) => {
    log(message, { status: true });
  };
}

/** Equal as JSON objects whose members' order means nothing. */
function equal(left: unknown, right: unknown): boolean {
  const ordered = (value: unknown) =>
    JSON.stringify(value, (_key, member: unknown) =>
      typeof member === "object" && member !== null
        ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => a.localeCompare(b)))
        : member,
    );
  return ordered(left) === ordered(right);
}
