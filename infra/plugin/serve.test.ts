import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { EngineStandIn } from "./testing/engine-stand-in.ts";

// How a provider's process begins and ends, shown with the smallest one there is.
const executable = join(repoRoot, "infra", "provider", "command", "pulumi-resource-command");

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

test("starts through a symbolic link, from any folder", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress link-"));
  symlinkSync(executable, join(folder, "pulumi-resource-command"));
  const engine = await EngineStandIn.start(join(folder, "pulumi-resource-command"), "/");
  expect(await engine.version()).toBe("1.2.1");
  await engine.close();
  rmSync(folder, { recursive: true });
});

test("ends by itself when the engine that started it was killed", async () => {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const pid = abandonedProvider(`127.0.0.1:${port}`);
  await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
  listener.close();
});

test("ends by itself when the engine was gone before it had started", async () => {
  const pid = abandonedProvider("127.0.0.1:1", "");
  await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
});

/** Starts a provider whose parent goes away, by default when the provider has told its port. */
function abandonedProvider(engineAddress: string, wait = "until [ -s port ]; do sleep 0.1; done"): number {
  const folder = mkdtempSync(join(tmpdir(), "pipress-orphan-"));
  const launcher = `"${executable}" ${engineAddress} > port & echo $!; ${wait}`;
  const output = execFileSync("sh", ["-c", launcher], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  rmSync(folder, { recursive: true });
  const pid = Number(output.toString());
  expect(pid).toBeGreaterThan(1);
  return pid;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
