import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeProject, type TestProject } from "../testing/engine.ts";

// Under the real engine, used through the vendor's SDK: one stack created, changed, failed, interrupted and destroyed;
// the tests build on each other, in order. What the resource does in detail is in local-command.test.ts.
// An operation of the engine takes about four seconds on an idle machine; a busy one gets its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const program = `
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
const { local, remote } = command;
const { WORD, TRIGGER, MODE, TOKEN } = process.env;
const folder = import.meta.dirname;

const first = new local.Command("first", {
  create: "echo made $WORD",
  update: "echo was $PULUMI_COMMAND_STDOUT, now $WORD",
  delete: \`echo bye $PULUMI_COMMAND_STDOUT > \${folder}/bye\`,
  environment: { WORD },
});
new local.Command("after", { create: "cat", stdin: pulumi.interpolate\`\${first.stdout}!\` });
new local.Command("triggered", { create: "date +%s%N", triggers: [TRIGGER] });
new local.Command("quiet", { create: "printf the-%s-word secret", logging: "none" }, { additionalSecretOutputs: ["stdout"] });
new local.Command("with-token", { create: "echo -n $TOKEN | wc -c", environment: { TOKEN: pulumi.secret(TOKEN) } });
export const firstOutput = first.stdout;

if (MODE === "fail") new local.Command("failing", { create: "echo the reason; exit 9" });
if (MODE === "remote") new remote.Command("far", { create: "true", connection: { host: "pi" } });
if (MODE === "hang") {
  new local.Command("hanging", { create: "trap 'echo goes on elsewhere; exit 130' TERM; echo hanging; while :; do sleep 0.1; done" });
}
`;

interface Resource {
  urn: string;
  id: string;
  outputs: Record<string, unknown>;
}

describe("under the real engine", () => {
  let project: TestProject;

  beforeAll(async () => {
    project = await makeProject(program);
    vi.stubEnv("WORD", "one");
    vi.stubEnv("TRIGGER", "1");
    vi.stubEnv("TOKEN", "hf_first");
  });

  afterAll(async () => {
    vi.unstubAllEnvs();
    await project.remove();
  });

  async function stateOf(name: string): Promise<Resource | undefined> {
    const { deployment } = JSON.parse(await project.pulumi("stack", "export")) as {
      deployment: { resources: Resource[] };
    };
    return deployment.resources.find(({ urn }) => urn.endsWith(`::${name}`));
  }

  it("creates: nothing runs in the preview, lines show as they come, secrets stay secret", async () => {
    const shown = await project.pulumi("up", "--yes");
    const [preview = "", update = ""] = shown.split("Updating (dev)");
    expect(preview).toMatch(/firstOutput *: \[unknown\]/);
    expect(preview).not.toContain("made one");
    expect(update).toMatch(/command:local:Command first creating .* made one/);
    expect((await stateOf("after"))?.outputs).toMatchObject({ stdout: "made one!" });
    expect((await stateOf("with-token"))?.outputs).toMatchObject({ stdout: "8" });
    const state = await project.pulumi("stack", "export");
    expect(["the-secret-word", "hf_first"].filter((word) => (shown + state).includes(word))).toEqual([]);
  });

  it("updates in place for an input, replaces for a trigger, and leaves the rest alone", async () => {
    const [first, triggered, quiet] = await Promise.all(["first", "triggered", "quiet"].map(stateOf));
    vi.stubEnv("WORD", "two");
    vi.stubEnv("TRIGGER", "2");
    vi.stubEnv("TOKEN", "hf_second");
    const shown = await project.pulumi("up", "--yes", "--diff");
    expect(shown).toMatch(/WORD *: "one" => "two"/);
    expect(shown).not.toMatch(/hf_(first|second)/);
    expect(shown).toMatch(/3 updated[^]*1 replaced|1 replaced[^]*3 updated/);
    expect(await stateOf("first")).toMatchObject({
      id: first?.id,
      outputs: { stdout: "was made one, now two" },
    });
    expect((await stateOf("triggered"))?.id).not.toBe(triggered?.id);
    expect((await stateOf("quiet"))?.id).toBe(quiet?.id);
  });

  it("shows no change when nothing changed", async () => {
    await project.pulumi("preview", "--expect-no-changes");
  });

  it("reports a failing command in the vendor's words, and keeps it out of the state", async () => {
    vi.stubEnv("MODE", "fail");
    const shown = await project.pulumiFails("up", "--yes", "--skip-preview");
    expect(shown).toMatch(/exit status 9: running "echo the reason; exit 9":\s+the reason/);
    expect(await stateOf("failing")).toBeUndefined();
  });

  it("refuses at preview what only the vendor's plugin has, and names that", async () => {
    vi.stubEnv("MODE", "remote");
    const shown = await project.pulumiFails("preview");
    expect(shown).toMatch(/command:remote:Command: .*`pulumi plugin install resource command 1\.2\.1`/);
  });

  it("on Ctrl-C the command is told, its last words show, and the engine ends", async () => {
    vi.stubEnv("MODE", "hang");
    const running = project.start("up", "--yes", "--skip-preview");
    let shown = "";
    running.all.on("data", (bytes: Buffer) => (shown += bytes.toString()));
    await expect
      .poll(() => shown, { timeout: 200_000, interval: 100 })
      .toContain("hanging creating (0s) hanging");
    running.kill("SIGINT");
    const { exitCode, all } = await running;
    expect(exitCode).not.toBe(0);
    expect(all).toContain("goes on elsewhere");
    expect(await stateOf("hanging")).toBeUndefined();
  });

  it("destroys: the delete command sees the last output", async () => {
    await project.pulumi("destroy", "--yes", "--skip-preview");
    expect(readFileSync(join(project.folder, "bye"), "utf8")).toBe("bye was made one, now two\n");
  });
});
