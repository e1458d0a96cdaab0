import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { metrics } from "./metrics.ts";

// The stack is a stand-in: it has no hosts, and a key.
vi.mock("./stack.ts", () => ({
  openStack: () => Promise.resolve({ fullName: "organization/pipress/home", config: { monitoring: false } }),
  hostsOf: () => Promise.resolve([]),
}));
vi.mock("./stack-state.ts", () => ({ readStackState: () => Promise.resolve({ virtualPis: new Map() }) }));
vi.mock("./run-pulumi.ts", () => ({ stackOutputs: () => Promise.resolve({ apiKey: "k" }) }));

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "pipress-metrics-"))));
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test("this user alone reads the API key, also where a file of another mode was there before", async () => {
  const file = join(folder, "api-key");
  writeFileSync(file, "old", { mode: 0o644 });
  await metrics(folder, {});
  expect(readFileSync(file, "utf8")).toBe("k");
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
