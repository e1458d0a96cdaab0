/**
 * The drop-in under the real engine, used through the vendor's @pulumi/command SDK: one stack created, changed, failed,
 * interrupted and destroyed. What each resource does in detail is in local.test.ts and remote.test.ts.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { engineMissing, RealEngine } from "./testing/real-engine.ts";
import { Sshd, sshdMissing } from "./testing/sshd.ts";

// An operation of the engine takes about four seconds on an idle machine; a busy one gets its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const program = `
const pulumi = require("@pulumi/pulumi");
const { local, remote } = require("@pulumi/command");
const { WORD, TRIGGER, MODE, CONNECTION, FOLDER } = process.env;

const first = new local.Command("first", {
  create: "echo made $WORD",
  update: "echo was $PULUMI_COMMAND_STDOUT, now $WORD",
  delete: \`echo bye $PULUMI_COMMAND_STDOUT > \${FOLDER}/bye\`,
  environment: { WORD },
});
new local.Command("triggered", { create: "date +%s%N", triggers: [TRIGGER] });
new local.Command("quiet", { create: "printf the-%s-word secret", logging: "none" }, { additionalSecretOutputs: ["stdout"] });
exports.first = first.stdout;
exports.ran = local.runOutput({ command: "echo $((6 * 7))" }).stdout;

if (CONNECTION) {
  const connection = JSON.parse(CONNECTION);
  const copy = new remote.CopyToRemote("copy", {
    connection,
    source: new pulumi.asset.FileAsset(\`\${FOLDER}/payload\`),
    remotePath: \`\${FOLDER}/remote/payload\`,
  });
  const far = new remote.Command("far", { connection, create: \`cat \${FOLDER}/remote/payload\` }, { dependsOn: copy });
  exports.far = far.stdout;
}
if (MODE === "fail") new local.Command("failing", { create: "echo the reason; exit 9" });
if (MODE === "hang") {
  new local.Command("hanging", { create: "trap 'echo goes on elsewhere; exit 130' TERM; echo hanging; while :; do sleep 0.1; done" });
}
`;

const skipped = engineMissing ?? sshdMissing;

describe.skipIf(skipped)(`under the real engine${skipped ? ` (skipped: ${skipped})` : ""}`, () => {
  let engine: RealEngine;
  let sshd: Sshd;
  let settings: Record<string, string>;

  beforeAll(async () => {
    engine = new RealEngine(program);
    sshd = await Sshd.start();
    writeFileSync(join(engine.folder, "payload"), "carried over");
    const CONNECTION = JSON.stringify(sshd.connection());
    settings = { WORD: "one", TRIGGER: "1", FOLDER: engine.folder, CONNECTION };
    const { exitCode, all } = await engine.pulumi(["stack", "init", "dev"]);
    expect(exitCode, all).toBe(0);
  });

  afterAll(async () => {
    await sshd.stop();
    engine.remove();
  });

  const up = (changes: Record<string, string> = {}, ...options: string[]) =>
    engine.pulumi(["up", "--yes", ...options], { ...settings, ...changes });

  it("creates: nothing runs in the preview, lines show as they come, secrets stay secret", async () => {
    const { exitCode, all } = await up();
    expect(exitCode, all).toBe(0);
    const [preview = "", update = ""] = all.split("Updating (dev)");
    expect(preview).toMatch(
      /far *: \[unknown\][^]*first *: \[unknown\]|first *: \[unknown\][^]*far *: \[unknown\]/,
    );
    expect(preview).not.toContain("made one");
    expect(preview).toMatch(/ran *: "42"/);
    expect(update).toMatch(/command:local:Command first creating .* made one/);
    expect(update).toMatch(/far *: "carried over"/);
    expect(all).not.toContain("the-secret-word");
    const state = engine.stateText();
    expect(["the-secret-word", "PRIVATE KEY"].filter((word) => state.includes(word))).toEqual([]);
  });

  it("updates in place for an input, replaces for a trigger, and leaves the rest alone", async () => {
    const before = engine.state();
    const { exitCode, all } = await up({ WORD: "two", TRIGGER: "2" });
    expect(exitCode, all).toBe(0);
    expect(all).toMatch(/1 updated[^]*(\+-|\+\/-)?\s*1 replaced|1 replaced[^]*1 updated/);
    const after = engine.state();
    expect(after["first"]?.outputs["stdout"]).toBe("was made one, now two");
    expect(after["first"]?.id).toBe(before["first"]?.id);
    expect(after["triggered"]?.id).not.toBe(before["triggered"]?.id);
    expect(after["copy"]?.id).toBe(before["copy"]?.id);
    settings = { ...settings, WORD: "two", TRIGGER: "2" };
  });

  it("shows no change when nothing changed", async () => {
    const { exitCode, all } = await engine.pulumi(["preview", "--expect-no-changes"], settings);
    expect(exitCode, all).toBe(0);
  });

  it("reports a failing command in the official words, and keeps it out of the state", async () => {
    const { exitCode, all } = await up({ MODE: "fail" }, "--skip-preview");
    expect(exitCode).not.toBe(0);
    expect(all).toMatch(/exit status 9: running "echo the reason; exit 9":\s+the reason/);
    expect(engine.state()).not.toHaveProperty("failing");
  });

  it("on Ctrl-C the command is told, its last words show, and the engine ends", async () => {
    const running = up({ MODE: "hang" }, "--skip-preview");
    let seen = "";
    running.all.on("data", (bytes: Buffer) => (seen += bytes.toString()));
    await expect
      .poll(() => seen, { timeout: 200_000, interval: 100 })
      .toContain("hanging creating (0s) hanging");
    running.kill("SIGINT");
    const { exitCode, all } = await running;
    expect(exitCode).not.toBe(0);
    expect(all).toContain("goes on elsewhere");
    expect(engine.state()).not.toHaveProperty("hanging");
  });

  it("destroys: the delete command sees the last output", async () => {
    const { exitCode, all } = await engine.pulumi(["destroy", "--yes", "--skip-preview"], settings);
    expect(exitCode, all).toBe(0);
    expect(readFileSync(join(engine.folder, "bye"), "utf8")).toBe("bye was made one, now two\n");
    expect(existsSync(join(engine.folder, "remote/payload"))).toBe(true);
  });
});
