import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { sudoPasswordVariable } from "../../infra/ansible/sudo-password.ts";
import { formatDuration } from "../../common/units.ts";
import { fingerprint } from "../../infra/ssh/machine.ts";
import { password, type ShippedPi } from "./shipped-pi.ts";

/**
 * The first hour: `init`, `up` and `chat` with Pis as shipped, with no file of configuration before, and no password in any
 * after. Every mistake on the way is told, and leaves nothing.
 */
export async function expectFirstHour(pis: readonly [ShippedPi, ...ShippedPi[]]): Promise<void> {
  const stack = `first-${process.pid}`;
  const file = join(repoRoot, `Pulumi.${stack}.yaml`);
  const { workspace } = pis[0];
  const env: NodeJS.ProcessEnv = {
    ...workspace.env,
    XDG_CONFIG_HOME: join(workspace.dir, "config"),
    PULUMI_CONFIG_PASSPHRASE: undefined,
    PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
    PULUMI_STACK: undefined,
  };
  const pipress = async (args: readonly string[], more: NodeJS.ProcessEnv = {}, input = "") => {
    const options = { env: { ...env, ...more }, extendEnv: false, reject: false, all: true, input } as const;
    const begun = Date.now();
    const outcome = await execa(join(repoRoot, "pipress"), args, options);
    console.log(`./pipress ${args[0] ?? ""}: ${formatDuration((Date.now() - begun) / 1000)}`);
    return outcome;
  };
  const init = async (args: readonly string[], sudo?: string) =>
    pipress(["init", stack, ...args], { [sudoPasswordVariable]: sudo });
  const refused = async (args: readonly string[], sudo: string | undefined, ...messages: string[]) => {
    const { exitCode, all } = await init(args, sudo);
    expect(exitCode, all).toBe(1);
    for (const message of messages) expect(all).toContain(message);
    expect(existsSync(file)).toBe(false);
  };
  const { privateKeyFile } = pis[0];
  const ways = await Promise.all(pis.map((pi, index) => pi.connect(`127.0.0.${11 + index}`, privateKeyFile)));
  const prints = ways.map(({ hostKey }) => fingerprint(hostKey));
  const boards = ways.flatMap(({ destination }) => ["--host", destination]);
  const key = ["--key", privateKeyFile];
  const model = ["--model", "smollm2-135m"];
  const trusted = prints.flatMap((print) => ["--host-key", print]);
  try {
    await refused([], undefined, "no board is named", "no model is named");
    await refused([...boards, ...key, ...model], undefined, ...prints.map((print) => `--host-key ${print}`));
    await refused([...boards, ...key, ...model, ...trusted], undefined, sudoPasswordVariable);
    await refused([...boards, ...key, ...model, ...trusted], "wrong", "sudo does not take the password");
    await refused([...boards, ...key, "--model", "smolm2-135m"], undefined, 'did you mean "smollm2-135m"?');

    const answers = [...boards, ...key, ...model, ...trusted];
    const made = await init(answers, password);
    expect(made.exitCode, made.all).toBe(0);
    expect(made.all).toContain("nothing keeps an `up` from its end");
    const text = readFileSync(file, "utf8");
    for (const { hostKey } of ways) expect(text).toContain(hostKey);
    expect(text).not.toContain(password);
    const again = await init(answers);
    expect(again.all).toContain("is there already, and is not written over");
    expect(readFileSync(file, "utf8")).toBe(text);

    const up = await pipress(["up", "--yes", "--skip-preview", "--stack", stack]);
    expect(up.exitCode, up.all).toBe(0);
    expect(up.all).not.toContain(password);
    for (const { name } of pis) {
      const asked = ["chat", name, "--stack", stack, "--max-tokens", "8"];
      const { exitCode, all } = await pipress(asked, {}, "What is the capital of France?");
      expect(exitCode, all).toBe(0);
      expect(all).toMatch(/\(\d+ tokens, [\d.]+ tokens\/s, from /);
    }
    for (const pi of pis) expect(pi.starts).toBe(1);
  } finally {
    await pipress(["destroy", "--yes", "--skip-preview", "--stack", stack]);
    rmSync(file, { force: true });
  }
}
