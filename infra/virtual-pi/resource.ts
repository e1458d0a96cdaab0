import { UserError } from "../../common/user-error.ts";
import { checkAgainst } from "../plugin/check-against.ts";
import { diffProps } from "../plugin/detailed-diff.ts";
import type { Props, ResourceHandler } from "../plugin/handler.ts";
import { VirtualPiMachine } from "./machine.ts";
import { type MachineRecord, virtualPiInputs, type VirtualPiSpec } from "./spec.ts";

/** Outputs of `pipress:index:VirtualPi`. */
export interface VirtualPiOutputs extends MachineRecord {
  /** Where to reach it: always this computer's loopback. */
  address: string;
  user: string;
  /** Absolute path of the private key that logs in as `user`. */
  privateKeyFile: string;
  running: boolean;
}

/**
 * `pipress:index:VirtualPi`. Its id is the machine's folder, `pi-0-3f9a01c2`. Machines of earlier versions stay in `pi-0`,
 * which two stacks may both have in their state: the host key says whose machine is in it.
 */
export const virtualPiResource: ResourceHandler = {
  check: (inputs) => checkAgainst(virtualPiInputs, inputs),
  // A machine can stop or go behind the engine's back (a reboot of this computer). That is a change even without a refresh;
  // looking costs milliseconds. It is no input: it shows as its output.
  diff: async ({ id, state }, news) => {
    const changes = diffProps(specOf(state), specOf(news), ["name", "imageDigest", "diskGiB"]);
    const machine = await readOwn(id, state);
    if (!machine?.running) changes.running = { kind: "delete", input: false, replace: machine === undefined };
    // Name, folder and ports are the machine's own, so the old one goes first.
    return { changes, deleteBeforeReplace: true };
  },
  create: async (inputs, { log }) => {
    const spec = specOf(inputs);
    const id = `${spec.name}-${String(inputs.stackId)}`;
    const machine = new VirtualPiMachine(spec.name, id);
    return { id, state: outputs(machine, await machine.create(spec, log.status), true) };
  },
  // Keys and ports outlive a restart, so that what depends on them is quiet at preview.
  previewUpdate: ({ state }, news) => ({ ...state, ...news, running: true }),
  read: async ({ id, inputs, state }) => {
    const now = await readOwn(id, state);
    return now && { inputs, state: { ...now } };
  },
  // Restarts with new memory, cores or forwards, or starts again what had stopped.
  update: async ({ id, state }, news, { log }) => {
    const spec = specOf(news);
    const machine = new VirtualPiMachine(spec.name, id);
    const same = Object.keys(diffProps(specOf(state), spec)).length === 0;
    const record = await (same ? machine.start(log.status) : machine.reconfigure(spec, log.status));
    return outputs(machine, record, true);
  },
  // Fine when it is gone already.
  delete: async ({ id, state }, { log }) => {
    const machine = new VirtualPiMachine(specOf(state).name, id);
    const record = await machine.read();
    if (record !== undefined && record.hostKey !== state.hostKey) return;
    log.status("removing");
    await machine.destroy();
  },
};

/** The machine in a folder as it is now, if it is the one that the state knows; undefined when that one is gone. */
async function readOwn(id: string, state: Props): Promise<VirtualPiOutputs | undefined> {
  const machine = await read(id);
  return machine?.hostKey === state.hostKey ? machine : undefined;
}

/** The machine of a host as it is now. @param id as the stack's state has it @throws UserError when it is not here */
export async function readHere(name: string, id: string | undefined): Promise<VirtualPiOutputs> {
  const machine = id === undefined ? undefined : await read(id);
  if (machine !== undefined) return machine;
  throw new UserError({
    where: name,
    what: "there is no such virtual Pi here",
    remedy: "`./pipress up` makes it",
  });
}

/** The machine as it is now; undefined when it is gone. */
export async function read(id: string): Promise<VirtualPiOutputs | undefined> {
  const machine = new VirtualPiMachine(id);
  const record = await machine.read();
  return record && outputs(machine, record, await machine.isRunning());
}

function outputs(
  machine: VirtualPiMachine,
  record: MachineRecord,
  running: boolean,
): Props & VirtualPiOutputs {
  return {
    ...record,
    address: "127.0.0.1",
    user: "pi",
    privateKeyFile: machine.folder.privateKey,
    running,
  };
}

/** What a machine is made from, of its inputs or outputs. */
function specOf(props: Props): VirtualPiSpec {
  const { name, memoryMiB, cpus, diskGiB, imageDigest, forwards } = props as Props & VirtualPiSpec;
  return { name, memoryMiB, cpus, diskGiB, imageDigest, forwards };
}
