import { join } from "node:path";
import { Workspace } from "../e2e/workspace.ts";

const kept = process.env.PIPRESS_FLEET_DIR;

/** A workspace below PIPRESS_FLEET_DIR, as the last run left it; without that variable a new one for this run alone. */
export function openWorkspace(...below: string[]): Workspace {
  return new Workspace(kept === undefined ? undefined : join(kept, ...below));
}

/** Takes the stack and its machines away, unless they are kept for the next run. */
export async function closeWorkspace(workspace: Workspace): Promise<void> {
  if (kept !== undefined) return;
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
}
