import { describe, expect, it } from "vitest";
import { UserError } from "../../../common/user-error.ts";
import { explainFailure } from "../../ssh/failure.ts";
import type { Ending } from "../../ssh/session.ts";
import { follow } from "./follow.ts";
import { builderMachine } from "./machine.ts";
import { receiveSource, runStage, sourceMissing } from "./remote.ts";

const machine = { address: "gpu", port: 22, user: "me", hostKey: `ssh-ed25519 ${"A".repeat(68)}` };
const spec = {
  stage: "prune" as const,
  name: "prune",
  key: "ab".repeat(32),
  run: "r",
  forRelease: false,
  params: {},
  inputs: {},
  store: "s3://b/p",
  toolVersions: {},
};
const source = { digest: "d1", archive: Buffer.from("packed") };
function broken(message: string, wasConnected: boolean): Ending {
  return { kind: "lost", failure: explainFailure(builderMachine(machine), { own: message }), wasConnected };
}
const lost = broken("client_loop: send disconnect: Broken pipe", true);
const refused = broken("ssh: connect to host gpu port 22: Connection refused", false);
const ended = (code: number, stdout = ""): Ending => ({ kind: "ended", code, stdout });

/** Follows over a session that ends as told, one ending after the other; the last one stays. */
async function followed(endings: Ending[], timeout = { first: 60, later: 60 }) {
  const ran: { command: string; input: string | Buffer }[] = [];
  const lines: string[] = [];
  const session = {
    run: (command: string, input: string | Buffer = "") => {
      ran.push({ command, input });
      return Promise.resolve((endings.length > 1 ? endings.shift() : endings[0]) as Ending);
    },
  };
  const options = {
    log: (line: string) => lines.push(line),
    signal: new AbortController().signal,
    timeout,
    pause: 0,
  };
  const result = await follow({ machine, spec }, session, source, options).catch((error: unknown) => error);
  return { result, ran, lines };
}

describe("follow", () => {
  it("returns status and output of a command that ends by itself, also when it fails", async () => {
    expect((await followed([ended(0, "{}")])).result).toMatchObject({ code: 0, stdout: "{}" });
    expect((await followed([ended(1)])).result).toMatchObject({ code: 1 });
  });

  it("sends the code once to a builder machine that has not got it, then runs the stage", async () => {
    const { result, ran } = await followed([ended(sourceMissing), ended(0), ended(0, "{}")]);
    expect(result).toMatchObject({ code: 0, stdout: "{}" });
    expect(ran.map(({ command }) => command)).toEqual([
      runStage(machine, "d1"),
      receiveSource(machine, "d1"),
      runStage(machine, "d1"),
    ]);
    expect(ran[1]?.input).toBe(source.archive);
    expect(ran[0]?.input).toBe(JSON.stringify({ spec, environment: {} }));
  });

  it("runs the same command again after every lost connection, and says so", async () => {
    const { result, ran, lines } = await followed([refused, lost, refused, lost, ended(0, "{}")]);
    expect(result).toMatchObject({ code: 0, stdout: "{}" });
    expect(new Set(ran.map(({ command }) => command)).size).toBe(1);
    expect(lines).toEqual([
      "prune cannot reach gpu; trying again in 0 s",
      "prune lost the connection to gpu; trying again in 0 s",
      "prune lost the connection to gpu; trying again in 0 s",
      "prune lost the connection to gpu; trying again in 0 s",
    ]);
  });

  it.each([
    ["Host key verification failed.", "wrong host key"],
    ["me@gpu: Permission denied (publickey).", "does not accept the key of user me"],
  ])("does not try again when it cannot help: %s", async (message, explained) => {
    const { result, ran } = await followed([broken(message, false)]);
    expect(result).toBeInstanceOf(UserError);
    expect((result as UserError).message).toContain(explained);
    expect(ran).toHaveLength(1);
  });

  it("gives a builder machine up that never answered", async () => {
    const { result } = await followed([refused], { first: 0.05, later: 60 });
    expect((result as UserError).message).toMatch(/^builder: unreachable: nothing listens on gpu:22 — /);
  });

  it("says that the job goes on when it gives up a builder machine that had answered", async () => {
    const { result } = await followed([lost, refused], { first: 60, later: 0.05 });
    expect((result as UserError).message).toMatch(
      /gpu has not answered for 0 s — prune goes on there if the builder machine is up/,
    );
  });
});
