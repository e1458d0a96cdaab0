// The reader of stack files beside the real engine, with a state of its own. The stack is called dev, as its file beside the
// program exists already; which stack is selected on this machine stays as it is.
import { copyFileSync, mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { chosenEngine } from "../toolchain/engine/index.ts";
import { pulumiText } from "./run-pulumi.ts";
import { readStack, selectedStack } from "./stack.ts";

vi.mock("../toolchain/bootstrap/index.ts", () => ({ bootstrap: () => Promise.resolve() }));

describe.skipIf(chosenEngine(cacheDir()) === undefined)(
  "a stack of the real engine",
  { timeout: 60_000 },
  () => {
    const folder = mkdtempSync(join(tmpdir(), "stack-it-"));
    const configFile = join(folder, "Pulumi.dev.yaml");
    const set = (...args: string[]) =>
      pulumiText(["config", "set", ...args, "--stack", "dev", "--config-file", configFile]);

    beforeAll(async () => {
      vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", undefined);
      mkdirSync(join(folder, "state"));
      copyFileSync(join(repoRoot, "Pulumi.dev.yaml"), configFile);
      vi.stubEnv("PULUMI_BACKEND_URL", pathToFileURL(join(folder, "state")).href);
      await pulumiText(["stack", "init", "dev", "--no-select", "--non-interactive"]);
      await set("--secret", "huggingFaceToken", "hf_abc");
    });
    afterEach(() => {
      vi.stubEnv("PULUMI_STACK", undefined);
      vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", undefined);
    });
    afterAll(() => {
      vi.unstubAllEnvs();
      rmSync(folder, { recursive: true });
    });

    it("is read with an encrypted token under another passphrase, and found where it is the selected one", async () => {
      vi.stubEnv("PULUMI_STACK", "dev");
      vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "wrong");
      const { name, fullName, config } = await readStack({ configFile });
      expect({ name, fullName }).toEqual({ name: "dev", fullName: "organization/pipress/dev" });
      expect(config).toMatchObject({ recipe: "smollm2-135m", hosts: [{ name: "pi-0" }] });
    });

    it("is decrypted where a verb needs it, and says so where that cannot be", async () => {
      await set("--secret", "--path", "hosts[0].name", "pi-7");
      expect((await readStack({ stack: "dev", configFile })).config.hosts).toMatchObject([{ name: "pi-7" }]);
      vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", "wrong");
      await expect(readStack({ stack: "dev", configFile })).rejects.toThrow(/^pulumi config: .*passphrase/);
    });

    it("must be selected or named", async () => {
      vi.stubEnv("PULUMI_STACK", "nowhere");
      await expect(selectedStack()).rejects.toThrow(
        /^stack: none is selected — .*`\.\/pipress pulumi stack select NAME`/,
      );
    });
  },
);
