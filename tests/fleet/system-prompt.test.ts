import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { artifacts, changedNames, config, host, type Outputs } from "../e2e/scenario.ts";
import { Workspace } from "../e2e/workspace.ts";

/** A stack that only quantizes, whose release carries a system prompt of some 400 tokens. */
const workspace = new Workspace();
const prompt = readFileSync(join(repoRoot, "tests/fleet/help-desk.txt"), "utf8").trim();
const current = "/var/lib/pipress/current";

function configure(systemPrompt: string): void {
  workspace.configure({ ...config(workspace), server: { systemPrompt, threads: host.virtual.cpus } });
}

/** What the release and its verdict on the host say of the system prompt. */
async function onHost(): Promise<{ tokens: number; sha256: string; kld: number }> {
  const read = async (name: string) =>
    JSON.parse((await workspace.onHost("pi-0", `cat ${current}/${name}.json`)).output) as {
      systemPrompts: { tokens: number; sha256: string; kld: number }[];
    };
  const [release, verdict] = [await read("release"), await read("verdict")];
  return { ...release.systemPrompts[0], ...verdict.systemPrompts[0] } as Awaited<ReturnType<typeof onHost>>;
}

/** Restarts the service, as a crash or a reboot would, and waits until the state is restored. */
async function restart(): Promise<string> {
  await workspace.onHost("pi-0", "systemctl restart pipress-llama");
  const isDone = "until systemctl show pipress-prompt -P ActiveState | grep -qx inactive; do sleep 1; done";
  await workspace.onHost("pi-0", `sleep 2; ${isDone}`);
  return (await workspace.onHost("pi-0", "journalctl -u pipress-prompt -n 20 -o cat")).output;
}

/** Seconds to the first token of an answer, and how many tokens of the request the server had read already. */
async function firstToken(system: string | undefined) {
  const { baseUrl, apiKey } = await workspace.outputs<Outputs>();
  const messages = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: "When do you open on Saturday?" },
  ];
  const began = performance.now();
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ messages, max_tokens: 1, temperature: 0 }),
  });
  const { timings } = (await response.json()) as { timings: { cache_n: number } };
  return { seconds: (performance.now() - began) / 1000, reused: timings.cache_n };
}

beforeAll(async () => {
  workspace.recipe({
    "steps.prune": undefined,
    "steps.recover": undefined,
    "steps.imatrix": undefined,
    "steps.quantize.type": "Q4_K_M",
    "chats.share": 0,
    "steps.evaluate.chunks": 2,
    "steps.evaluate.questions": 0,
    "smokeTest.expect": ".", // this mix of types does not know every capital
  });
  configure(prompt);
  await workspace.init();
  const { exitCode, output } = await workspace.up();
  expect(exitCode, output).toBe(0);
});

afterAll(async () => {
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
});

it("is read once on the builder, and thinks on the Pi what the Pi would have thought", async () => {
  expect(artifacts(workspace)).toHaveProperty("system-prompt-main");
  const { tokens, kld } = await onHost();
  expect(tokens).toBeGreaterThanOrEqual(400);
  expect(kld).toBeLessThan(0.05);
  console.log(`${tokens} tokens; the Pi's KL divergence from the builder is ${kld} nats`);
});

it("costs a request next to nothing, after a restart of the service too", async () => {
  const { tokens } = await onHost();
  expect(await restart()).toContain(`restored the ${tokens} tokens`);
  const withIt = await firstToken(prompt);
  await restart();
  const none = await firstToken(undefined);
  // Another conversation has taken the slot over.
  const again = await firstToken(prompt);
  const ratio = (withIt.seconds / none.seconds).toFixed(2);
  console.log(`to the first token: ${ratio} times what a request without the system prompt takes`, {
    withIt,
    none,
    again,
  });
  expect([withIt.reused, again.reused]).toEqual([tokens, tokens]);
});

it("lets no client save a slot, or restore one", async () => {
  const { baseUrl, apiKey } = await workspace.outputs<Outputs>();
  for (const action of ["save", "restore"]) {
    const { status } = await fetch(`${new URL(baseUrl).origin}/slots/0?action=${action}`, {
      method: "POST",
      headers: { authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ filename: "main.state" }),
    });
    expect(status, action).toBeGreaterThanOrEqual(400);
  }
  expect((await workspace.onHost("pi-0", "ls -A /var/lib/pipress/slots")).output).toBe("");
});

it("is read anew where its state is damaged, and the next up puts that right", async () => {
  const { tokens } = await onHost();
  const file = `$(readlink -f ${current}/main.state)`;
  await workspace.onHost("pi-0", `printf damage | dd of=${file} bs=1 seek=100000 conv=notrunc`);
  expect(await restart()).toContain("it is not what its digest says");
  expect((await firstToken(prompt)).reused).toBeGreaterThanOrEqual(tokens);
  const refreshed = await workspace.pulumi("refresh", "--yes", "--skip-preview");
  expect(refreshed.exitCode, refreshed.output).toBe(0);
  expect(changedNames(await workspace.preview())).toEqual(["pi-0", "wave-1"]);
  const { exitCode, output } = await workspace.up();
  expect(exitCode, output).toBe(0);
  expect(await restart()).toContain(`restored the ${tokens} tokens`);
});

it("is another state where the prompt is another one", async () => {
  const before = await onHost();
  const changed = prompt.replace("seven in the evening", "eight in the evening");
  configure(changed);
  expect(changedNames(await workspace.preview())).toEqual([
    "pi-0",
    "preflight",
    "system-prompt-main",
    "wave-1",
  ]);
  const { exitCode, output } = await workspace.up();
  expect(exitCode, output).toBe(0);
  const after = await onHost();
  expect(after.sha256).not.toBe(before.sha256);
  expect((await firstToken(changed)).reused).toBe(after.tokens);
});
