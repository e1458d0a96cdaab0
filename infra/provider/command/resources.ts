/**
 * What creating, updating and deleting each resource does. Inputs come with secrets laid open; outputs are what a
 * resource has beside its inputs. Mirrors local/commandController.go, remote/commandController.go and
 * remote/copyController.go; the heavy modules load when first needed, so that the provider starts quickly.
 */
import { randomBytes } from "node:crypto";

import type { LocalInputs } from "./local-command.ts";
import type { Operation } from "./operation.ts";
import type { Streams } from "./output.ts";
import type { RemoteInputs } from "./remote-command.ts";
import type { ResourceToken } from "./schema.ts";
import { equal, type WireObject } from "./values.ts";

export interface Behaviour {
  create(inputs: WireObject, operation: Operation): Promise<WireObject>;
  update?(inputs: WireObject, state: WireObject, operation: Operation): Promise<WireObject>;
  delete?(state: WireObject, operation: Operation): Promise<void>;
  /** The new resource's id; `name` is the last part of its URN. */
  newId(name: string): string;
}

interface Commands {
  create?: string;
  update?: string;
  delete?: string;
}

type RunCommand = (
  command: string,
  inputs: WireObject,
  previous: Partial<Streams>,
  operation: Operation,
) => Promise<WireObject>;

/**
 * The life of a command resource. Without a command for the occasion nothing runs and the outputs stay as they were; an
 * update without `update` runs `create` again.
 */
function commandBehaviour(run: RunCommand): Behaviour {
  return {
    async create(inputs, operation) {
      const { create } = inputs as Commands;
      if (create === undefined) return { stdout: "", stderr: "" };
      return run(create, inputs, {}, operation);
    },
    async update(inputs, state, operation) {
      const kept = outputsOf(state);
      const { create, update = create } = inputs as Commands;
      if (update === undefined) return kept;
      return { ...kept, ...(await run(update, inputs, state, operation)) };
    },
    async delete(state, operation) {
      const command = (state as Commands).delete;
      if (command !== undefined) await run(command, state, state, operation);
    },
    newId: (name) => name + randomHex(),
  };
}

export async function runLocal(
  command: string,
  inputs: WireObject,
  previous: Partial<Streams>,
  operation: Operation,
): Promise<WireObject> {
  const { runLocally } = await import("./local-command.ts");
  return runLocally(command, inputs as LocalInputs, previous, operation);
}

const runRemote: RunCommand = async (command, inputs, previous, operation) => {
  const { runRemotely } = await import("./remote-command.ts");
  return { ...(await runRemotely(command, inputs as unknown as RemoteInputs, previous, operation)) };
};

async function copy(inputs: WireObject, operation: Operation): Promise<void> {
  const { copyToRemote } = await import("./copy-to-remote.ts");
  await copyToRemote(inputs as never, operation);
}

export const behaviours: Record<ResourceToken, Behaviour> = {
  "command:local:Command": commandBehaviour(runLocal),
  "command:remote:Command": commandBehaviour(runRemote),
  "command:remote:CopyToRemote": {
    async create(inputs, operation) {
      await copy(inputs, operation);
      return {};
    },
    /** Copies again only when content or path changed; a new connection alone copies nothing. */
    async update(inputs, state, operation) {
      const { sourceHash } = await import("./copy-to-remote.ts");
      const [fresh, old] = [sourceHash(inputs["source"]), sourceHash(state["source"])];
      const sameContent = fresh && old ? fresh === old : equal(inputs["source"], state["source"]);
      if (!sameContent || inputs["remotePath"] !== state["remotePath"]) await copy(inputs, operation);
      return {};
    },
    newId: randomHex,
  },
  "command:remote:CopyFile": {
    async create(inputs, operation) {
      const { copyFile } = await import("./copy-to-remote.ts");
      await copyFile(inputs as never, operation);
      return {};
    },
    newId: randomHex,
  },
};

/** What a command resource keeps of its state when a run does not replace it. */
function outputsOf(state: WireObject): WireObject {
  const kept: WireObject = { stdout: state["stdout"] ?? "", stderr: state["stderr"] ?? "" };
  for (const name of ["assets", "archive"]) if (state[name] !== undefined) kept[name] = state[name];
  return kept;
}

function randomHex(): string {
  return randomBytes(4).toString("hex");
}
