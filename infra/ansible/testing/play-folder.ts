import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repoRoot } from "../../../common/paths.ts";
import type { Machine } from "../../ssh/machine.ts";
import type { PlaybookRun } from "../run.ts";

/** A folder of playbooks for tests: the repository's own event plugin, a playbook of the test's. */
export interface PlayFolder {
  folder: string;
  playbook: string;
  logFolder: string;
  remove(): Promise<void>;
}

/** @param tasks YAML of the tasks, at no indentation */
export async function makePlayFolder(tasks: string): Promise<PlayFolder> {
  const folder = await mkdtemp(join(tmpdir(), "pipress-play-"));
  const playbook = join(folder, "site.yml");
  const indented = tasks.trim().replace(/^/gm, "    ");
  await writeFile(playbook, `- hosts: all\n  gather_facts: false\n  tasks:\n${indented}\n`);
  await writeFile(join(folder, "ansible.cfg"), "[defaults]\ngathering = explicit\n");
  await mkdir(join(folder, "logs"));
  await symlink(join(repoRoot, "ansible", "callback_plugins"), join(folder, "callback_plugins"));
  return {
    folder,
    playbook,
    logFolder: join(folder, "logs"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** A run of the folder's playbook on a host, without variables or files. @param say gets what it shows and warns of */
export function playRun(
  { playbook, logFolder }: PlayFolder,
  host: Machine,
  say: (message: string) => void = () => undefined,
): PlaybookRun {
  return {
    playbook,
    host,
    vars: {},
    secretVars: {},
    files: [],
    check: false,
    concurrency: 10,
    signal: new AbortController().signal,
    log: { status: say, warn: say },
    logFolder,
  };
}
