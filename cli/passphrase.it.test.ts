// `./pipress pulumi` beside the real engine, with a state and a passphrase of its own.
import { existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { UserError } from "../common/user-error.ts";
import { chosenEngine } from "../toolchain/engine/index.ts";
import { changePassphrase } from "./ensure-passphrase.ts";
import { environment } from "./environment.ts";
import { opensSalt, passphraseFile, writePassphrase } from "./passphrase.ts";
import { pulumi } from "./pulumi.ts";

vi.mock("../toolchain/bootstrap/index.ts", () => ({ bootstrap: () => Promise.resolve() }));

describe.skipIf(chosenEngine(cacheDir()) === undefined)(
  "a stack of one's own on the real engine",
  { timeout: 120_000 },
  () => {
    const folder = mkdtempSync(join(tmpdir(), "passphrase-it-"));
    const stacks = ["new", "old", "offered"].map((name) => `${name}-${process.pid}`);
    const [made = "", old = "", offered = ""] = stacks;
    const fileOf = (stack: string) => join(repoRoot, `Pulumi.${stack}.yaml`);
    const saltOf = (stack: string) =>
      (parse(readFileSync(fileOf(stack), "utf8")) as { encryptionsalt: string }).encryptionsalt;
    const inShell = (line: string, env: Record<string, string> = {}) =>
      execa("sh", ["-c", line], { cwd: repoRoot, env: { ...environment(old), ...env } });

    beforeAll(() => {
      vi.stubEnv("XDG_CONFIG_HOME", join(folder, "config"));
      for (const name of ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_STACK"])
        vi.stubEnv(name, undefined);
      mkdirSync(join(folder, "state"));
      vi.stubEnv("PULUMI_BACKEND_URL", pathToFileURL(join(folder, "state")).href);
    });
    afterAll(() => {
      vi.unstubAllEnvs();
      for (const stack of stacks) rmSync(fileOf(stack), { force: true });
      rmSync(folder, { recursive: true });
    });

    it("is not made without a passphrase", async () => {
      await expect(pulumi(["stack", "init", made, "--no-select"])).rejects.toThrow(
        `stack ${made}: it has no passphrase`,
      );
      expect(existsSync(fileOf(made))).toBe(false);
    });

    it("of an earlier version, encrypted with the published one, is refused with a line that mends it", async () => {
      const dev = { PULUMI_CONFIG_PASSPHRASE: "pipress-dev" };
      await inShell(`pulumi stack init ${old} --no-select --non-interactive`, dev);
      await inShell(`pulumi config set --secret huggingFaceToken hf_abc --stack ${old}`, dev);
      const refusal = await pulumi(["preview", "--stack", old]).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(UserError);
      const line = /change it: `(.*)`$/.exec((refusal as UserError).message)?.[1] ?? "";
      await inShell(line.replace("./pipress pulumi", "pulumi"));
      expect(opensSalt("pipress-dev", saltOf(old))).toBe(false);
      const { stdout } = await inShell(`pulumi config get huggingFaceToken --stack ${old}`, environment(old));
      expect(stdout).toBe("hf_abc");
      expect(await pulumi(["config", "--stack", old])).toBe(0);
    });

    it("is changed as `./pipress` offers to at a terminal", async () => {
      if (!existsSync(passphraseFile())) writePassphrase();
      const dev = { PULUMI_CONFIG_PASSPHRASE: "pipress-dev" };
      await inShell(`pulumi stack init ${offered} --no-select --non-interactive`, dev);
      await changePassphrase(offered);
      expect(opensSalt(readFileSync(passphraseFile(), "utf8").trim(), saltOf(offered))).toBe(true);
    });

    it("takes the passphrase file from then on, without being asked", async () => {
      if (!existsSync(passphraseFile())) writePassphrase();
      expect(await pulumi(["stack", "init", made, "--no-select"])).toBe(0);
      expect(opensSalt(readFileSync(passphraseFile(), "utf8").trim(), saltOf(made))).toBe(true);
    });
  },
);
