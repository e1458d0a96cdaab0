import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * What a path may have before the name of a socket in the new folder: 104 bytes is all that the strictest system takes, of
 * which ssh wants 17 for a name of its own while it makes the socket.
 */
const longestBase = 104 - "/pipress-XXXXXX/control".length - 17 - 1;

/** A new folder that only this user reads, in memory where a login made room for such. The caller removes it. */
export function makePrivateFolder(): Promise<string> {
  // A variable that came along (su, cron) may name a folder that is not there.
  const { XDG_RUNTIME_DIR: ofLogin = "" } = process.env;
  const bases = [ofLogin, tmpdir()].filter(
    (path) => Buffer.byteLength(path) <= longestBase && existsSync(path),
  );
  return mkdtemp(join(bases[0] ?? "/tmp", "pipress-"));
}
