import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { repoRoot } from "../common/paths.ts";
import { UserError } from "../common/user-error.ts";
import { environment } from "./environment.ts";
import { isAgreed } from "./is-agreed.ts";
import { DEV_PASSPHRASE, passphraseFile, passphraseProblem, shown, writePassphrase } from "./passphrase.ts";
import { needsPassphrase, optionOf, shortName } from "./pulumi-arguments.ts";
import { pulumiPath } from "./run-pulumi.ts";

/**
 * Sees that a stack's secrets are safe before pulumi encrypts any: where they are not, offers at a terminal to make them so.
 * @param args of pulumi
 * @throws UserError with the line that makes a passphrase, where nobody is there to ask or the offer is turned down
 */
export async function ensurePassphrase(stack: string, args: readonly string[]): Promise<void> {
  const provider = optionOf(args, "--secrets-provider") ?? "passphrase";
  if (!needsPassphrase(args) || !["default", "passphrase"].includes(provider)) return;
  // It is the way out.
  if (args[1] === "change-secrets-provider") return;
  const name = shortName(stack);
  const file = optionOf(args, "--config-file") ?? join(repoRoot, `Pulumi.${name}.yaml`);
  const { PULUMI_BACKEND_URL: backend = process.env.PULUMI_BACKEND_URL ?? "" } = environment(stack);
  const problem = passphraseProblem({ name, backend, file }, process.env);
  if (problem === undefined) return;
  // The way out knows no other file than the one beside the program.
  const canMend = problem.kind !== "environment" && optionOf(args, "--config-file") === undefined;
  const isAnybodyThere = process.stdin.isTTY && process.stderr.isTTY && !args.includes("--non-interactive");
  if (!isAnybodyThere || !canMend) throw new UserError(problem);
  const path = shown(passphraseFile());
  const isMade = existsSync(passphraseFile());
  console.error(`${problem.where}: ${problem.what}`);
  const offer = isMade
    ? `Change it to the one in ${path}?`
    : `Write a random one to ${path}, readable by you alone, and use it for all your stacks from now on?`;
  if (!(await isAgreed(offer))) throw new UserError(problem);
  if (!isMade) {
    writePassphrase();
    console.error(`${path}: written; keep a copy, without it nobody reads your stacks' secrets again`);
  }
  if (problem.kind === "published") await changePassphrase(stack);
}

/** Encrypts a stack's secrets, which are encrypted with the published passphrase, with the user's own. */
export async function changePassphrase(stack: string): Promise<void> {
  const change = ["stack", "change-secrets-provider", "passphrase", "--stack", stack];
  const { exitCode, all } = await execa(pulumiPath(), change, {
    cwd: repoRoot,
    // It takes the new one from standard input where that is no terminal.
    inputFile: passphraseFile(),
    env: { ...environment(stack), PULUMI_CONFIG_PASSPHRASE: DEV_PASSPHRASE },
    all: true,
    reject: false,
  });
  if (exitCode !== 0)
    throw new UserError({
      where: `stack ${stack}`,
      what: `its passphrase could not be changed: ${all.trim()}`,
    });
}
