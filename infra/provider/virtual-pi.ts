import type { CheckFailure, DiffResult, Props, ResourceHandler, ResourceLog } from "../plugin/handler.ts";
import { hasUnknowns } from "../plugin/values.ts";
import * as machine from "../virtual-pi/resource.ts";

type Inputs = machine.VirtualPiInputs;
type Outputs = machine.VirtualPiOutputs;

/** `pipress:index:VirtualPi` in the engine's terms; what it does is in infra/virtual-pi/resource.ts. */
export const virtualPiResource: ResourceHandler = {
  // A machine can end behind the engine's back (a reboot of this computer); looking costs milliseconds.
  refreshBeforeUpdate: true,
  check: (inputs) => ({ failures: machine.check(inputs).filter(isKnown(inputs)) }),
  diff: async ({ state }, news) => toDiff(await machine.diff(as<Outputs>(state), as<Inputs>(news))),
  create: async (inputs, { log }) => {
    const { id, outs } = await machine.create(as<Inputs>(inputs), toLog(log));
    return { id, state: { ...outs } };
  },
  // Keys and ports outlive a restart, so that what depends on them is quiet at preview.
  previewUpdate: ({ state }, news) => ({ ...state, ...news, running: true }),
  read: async ({ id, inputs }) => {
    const outs = await machine.read(id);
    return outs && { inputs, state: { ...outs } };
  },
  update: async ({ id, state }, news, { log }) => ({
    ...(await machine.update(id, as<Outputs>(state), as<Inputs>(news), toLog(log))),
  }),
  delete: ({ id }, { log }) => machine.delete(id, toLog(log)),
};

/** What `check` let through has the shape that it checked. */
function as<T>(props: Props): T {
  return props as T;
}

function toLog(log: ResourceLog): machine.Log {
  return (message, { status = false } = {}) => {
    if (status) log.status(message);
    else log.info(message);
  };
}

/** What is not known yet at preview is checked again when it is. */
function isKnown(inputs: Props): (failure: CheckFailure) => boolean {
  return ({ property }) => !hasUnknowns(inputs[property.split(".", 1)[0] ?? ""]);
}

function toDiff({ changed, replaces, deleteBeforeReplace }: machine.VirtualPiDiff): DiffResult {
  const changes = changed.map((property) => {
    // No input: that the machine stopped shows as its output.
    if (property === "running") return [property, { kind: "delete", input: false }] as const;
    return [property, { kind: "update", replace: replaces.includes(property) }] as const;
  });
  return { changes: Object.fromEntries(changes), deleteBeforeReplace };
}
