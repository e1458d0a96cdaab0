import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import type { Workspace } from "./workspace.ts";

/** Folder of a workspace's job of the given stage instance, if there is one. */
function jobFolder(workspace: Workspace, name: string): string | undefined {
  const jobs = join(workspace.data, "jobs");
  return (existsSync(jobs) ? readdirSync(jobs) : [])
    .map((key) => join(jobs, key))
    .find((folder) => {
      const history = join(folder, "history.json");
      return (
        existsSync(history) && (JSON.parse(readFileSync(history, "utf8")) as { name: string }).name === name
      );
    });
}

/** What a job has logged so far, over all its attempts. */
export function jobLog(workspace: Workspace, name: string): string {
  const log = join(jobFolder(workspace, name) ?? "", "log.txt");
  return existsSync(log) ? readFileSync(log, "utf8") : "";
}

/** Process ids that work on a job; those that only look on (`attach`) do not count. */
export async function jobProcesses(workspace: Workspace, name: string): Promise<number[]> {
  const folder = jobFolder(workspace, name);
  if (folder === undefined) return [];
  const { stdout } = await execa("ps", ["-eo", "pid,args"]);
  return stdout
    .split("\n")
    .filter((line) => line.includes(`jobs work ${folder}`))
    .map((line) => Number.parseInt(line, 10));
}
