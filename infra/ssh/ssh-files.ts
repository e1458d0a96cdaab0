import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlayHost } from "./host.ts";
import { knownHosts, sshConfig, type SshFiles } from "./ssh-config.ts";

/** The files of one host's ssh, and the private folder that holds them. */
export interface SshFolder extends SshFiles {
  folder: string;
}

/** What ssh is to know about the host and nothing else, in a private folder that whoever asks for it removes. */
export async function writeSshFiles(host: PlayHost): Promise<SshFolder> {
  const folder = await mkdtemp(join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), "pipress-"));
  const files = {
    config: join(folder, "ssh_config"),
    knownHosts: join(folder, "known_hosts"),
    control: join(folder, "control"),
  };
  await writeFile(files.knownHosts, knownHosts(host), { mode: 0o600 });
  await writeFile(files.config, sshConfig(host, files), { mode: 0o600 });
  return { folder, ...files };
}
