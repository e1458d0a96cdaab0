import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeTrivialRelease, type TrivialRelease } from "../../bench/fleet/release.ts";
import { sshdMissing, startSshd, type TestSshd } from "../../infra/ssh/testing/sshd.ts";
import { repoRoot } from "../../common/paths.ts";
import { runOnHost } from "../../infra/fleet/rollout/playbook-resource.ts";
import { openLine, type UnreliableLine } from "./unreliable-line.ts";

// The real roles, SSH and content server; the host is an sshd of this machine, behind a line that counts and breaks. The
// model is so large that Ansible's own modules, which travel as well, weigh as little as beside a real one.
const modelBytes = 400_000_000;

const skipped = sshdMissing ? ` (skipped: ${sshdMissing})` : "";

describe.skipIf(sshdMissing)(`bytes on the wire${skipped}`, () => {
  let sshd: TestSshd;
  let folder: string;
  let release: TrivialRelease;

  beforeAll(async () => {
    sshd = await startSshd();
    folder = await mkdtemp(join(tmpdir(), "pipress-wire-"));
    release = makeTrivialRelease(folder, modelBytes);
  });
  afterAll(async () => {
    await sshd.remove();
    await rm(folder, { recursive: true, force: true });
  });

  async function stageOver(line: UnreliableLine): Promise<void> {
    const log = { status: () => undefined, info: () => undefined, warn: () => undefined };
    const run = {
      playbook: join(repoRoot, "bench/fleet/plays/stage.yml"),
      host: { ...sshd.host, port: line.port },
      vars: { ...release.vars, pipress_root: join(folder, "root") },
      files: release.files,
      secretVars: {},
      check: false,
      concurrency: 1,
    };
    await runOnHost(run, log, new AbortController().signal).finally(() => line.close());
  }

  it("are hardly more than the release has, although the line breaks twice", async () => {
    const line = await openLine(sshd.host.port, [modelBytes / 3, (2 * modelBytes) / 3]);
    await stageOver(line);
    expect(line.cuts).toBe(2);
    const missing = release.files.reduce((sum, { bytes }) => sum + bytes, 0);
    console.log(`${line.sent} bytes sent where ${missing} were missing: ${(line.sent / missing).toFixed(4)}`);
    expect(line.sent).toBeGreaterThan(missing);
    expect(line.sent).toBeLessThanOrEqual(1.02 * missing);
  });

  it("hold nothing of the model when the host has it already", async () => {
    const line = await openLine(sshd.host.port, []);
    await stageOver(line);
    console.log(`${line.sent} bytes sent where nothing was missing`);
    expect(line.sent).toBeLessThan(0.01 * modelBytes);
  });
});
