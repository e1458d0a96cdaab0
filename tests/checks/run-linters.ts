import { execa } from "execa";
import { repoRoot } from "../../common/paths.ts";
import { formatDuration } from "../../common/units.ts";
import { linters, type Linter } from "./linters.ts";
import type { Tally } from "./tally.ts";

/** Runs every linter, side by side, and prints what each that is not content says. */
export async function runLinters(): Promise<Tally> {
  const scripts = await shellScripts();
  const results = await Promise.all(linters(scripts).map(runLinter));
  const passed = results.filter(Boolean).length;
  return { passed, failed: results.length - passed, skipped: 0 };
}

async function runLinter({ name, command, args, cwd = repoRoot, env }: Linter): Promise<boolean> {
  const started = Date.now();
  const { failed, all, originalMessage } = await execa(command, args, { cwd, env, all: true, reject: false });
  const took = formatDuration((Date.now() - started) / 1000);
  if (!failed) {
    console.log(`✔ ${name} (${took})`);
    return true;
  }
  console.log(`✖ ${name} (${took})\n${all === "" ? (originalMessage ?? "") : all}`);
  return false;
}

/** The clone's shell scripts, by name or by first line, tracked or about to be. */
async function shellScripts(): Promise<string[]> {
  const list = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const named = await execa("git", [...list, "*.sh"], { cwd: repoRoot, lines: true });
  const grep = ["grep", "-lIE", "--untracked", "^#!/(usr/)?bin/(env )?(ba|da)?sh"];
  const marked = await execa("git", grep, { cwd: repoRoot, lines: true, reject: false });
  return [...new Set([...named.stdout, ...marked.stdout])].sort();
}
