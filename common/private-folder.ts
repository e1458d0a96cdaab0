import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A new folder that only this user reads, in memory where a login made room for such. The caller removes it. */
export function makePrivateFolder(): Promise<string> {
  // A variable that came along (su, cron) may name a folder that is not there.
  const { XDG_RUNTIME_DIR: ofLogin = "" } = process.env;
  return mkdtemp(join(existsSync(ofLogin) ? ofLogin : tmpdir(), "pipress-"));
}
