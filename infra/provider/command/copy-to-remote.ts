/** Copies files over SFTP: command:remote:CopyToRemote (remote/copyController.go) and the older CopyFile. */
import { open, readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path/posix";

import type { SFTPWrapper, Stats } from "ssh2";

import type { Operation } from "./operation.ts";
import { dial, type Connection } from "./ssh-connection.ts";
import { asArchive, asAsset, type Wire } from "./values.ts";

export interface CopyInputs {
  connection: Connection;
  source: Wire;
  remotePath: string;
}

/** SFTP's status code for a path that does not exist. */
const noSuchFile = 2;

/**
 * Copies the source to the host: a file, a text, or a folder with all that is in it.
 *
 * | source | remote folder exists | nothing there     | remote file exists |
 * |--------|----------------------|-------------------|--------------------|
 * | dir    | path/dir             | path/dir          | error              |
 * | dir/   | path/…               | path/…            | error              |
 * | file   | path/file            | path              | path, overwritten  |
 * | text   | error                | path              | path, overwritten  |
 */
export async function copyToRemote(inputs: CopyInputs, operation: Operation): Promise<void> {
  const asset = asAsset(inputs.source);
  const text = asset?.path === undefined ? asset?.text : undefined;
  const path = asset?.path ?? asArchive(inputs.source)?.path;
  await withSftp(inputs.connection, operation, async (sftp) => {
    if (text !== undefined) await copyText(sftp, text, inputs.remotePath);
    else if (path !== undefined) await copyPath(sftp, path, inputs.remotePath);
  });
}

/** CopyFile: one file to one path, nothing created on the way (remote/copyfileController.go). */
export async function copyFile(
  inputs: { connection: Connection; localPath: string; remotePath: string },
  operation: Operation,
): Promise<void> {
  await requireLocal(inputs.localPath);
  await withSftp(inputs.connection, operation, (sftp) => putFile(sftp, inputs.localPath, inputs.remotePath));
}

/** The content hash that decides whether an update copies again. */
export function sourceHash(source: Wire | undefined): string | undefined {
  return asArchive(source)?.hash ?? asAsset(source)?.hash;
}

async function withSftp(
  connection: Connection,
  operation: Operation,
  work: (sftp: SFTPWrapper) => Promise<void>,
): Promise<void> {
  const client = await dial(connection, operation);
  const abort = () => client.destroy();
  operation.signal.addEventListener("abort", abort, { once: true });
  try {
    const lost = new Promise<never>((_, reject) => {
      client.once("close", () => {
        const reason = operation.signal.aborted
          ? (operation.signal.reason as Error).message
          : "connection lost";
        reject(new Error(`sftp to ${connection.host}: ${reason}`));
      });
    });
    const session = new Promise<SFTPWrapper>((resolve, reject) => {
      client.sftp((error, sftp) => {
        if (error) reject(new Error(`sftp to ${connection.host}: ${error.message}`, { cause: error }));
        else resolve(sftp);
      });
    });
    await Promise.race([session.then(work), lost]);
  } finally {
    operation.signal.removeEventListener("abort", abort);
    client.end();
  }
}

async function copyText(sftp: SFTPWrapper, text: string, remotePath: string): Promise<void> {
  const there = await remoteStat(sftp, remotePath);
  if (there?.isDirectory()) {
    throw new Error(
      `remote path ${remotePath} is a directory; when using a text asset, remotePath must be a file path`,
    );
  }
  await makeFolders(sftp, dirname(remotePath));
  await sftpCall(`failed to write text content to remote path ${remotePath}`, (done) => {
    sftp.writeFile(remotePath, text, done);
  });
}

async function copyPath(sftp: SFTPWrapper, source: string, remotePath: string): Promise<void> {
  const isFolder = (await requireLocal(source)).isDirectory();
  const there = await remoteStat(sftp, remotePath);
  if (!isFolder) {
    if (!there) await makeFolders(sftp, dirname(remotePath));
    await putFile(sftp, source, there?.isDirectory() ? join(remotePath, basename(source)) : remotePath);
    return;
  }
  if (!there) await makeFolders(sftp, remotePath);
  await putFolder(sftp, source, source.endsWith("/") ? remotePath : join(remotePath, basename(source)));
}

async function putFolder(sftp: SFTPWrapper, folder: string, remotePath: string): Promise<void> {
  const there = await remoteStat(sftp, remotePath);
  if (there && !there.isDirectory())
    throw new Error(`remote path ${remotePath} exists but is not a directory`);
  if (!there) await makeFolder(sftp, remotePath);
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const [from, to] = [join(folder, entry.name), join(remotePath, entry.name)];
    await (entry.isDirectory() ? putFolder(sftp, from, to) : putFile(sftp, from, to));
  }
}

async function putFile(sftp: SFTPWrapper, file: string, remotePath: string): Promise<void> {
  await sftpCall(`failed to copy file ${file} to remote path ${remotePath}`, (done) => {
    sftp.fastPut(file, remotePath, done);
  });
}

async function makeFolders(sftp: SFTPWrapper, path: string): Promise<void> {
  const there = await remoteStat(sftp, path);
  if (there?.isDirectory() || path === "." || path === "/") return;
  if (there) throw new Error(`remote path ${path} exists but is not a directory`);
  await makeFolders(sftp, dirname(path));
  await makeFolder(sftp, path);
}

async function makeFolder(sftp: SFTPWrapper, path: string): Promise<void> {
  await sftpCall(`failed to create remote directory ${path}`, (done) => {
    sftp.mkdir(path, done);
  });
}

/** What is at the remote path; undefined when nothing is. */
function remoteStat(sftp: SFTPWrapper, path: string): Promise<Stats | undefined> {
  return new Promise((resolve, reject) => {
    sftp.stat(path, (error: (Error & { code?: number }) | undefined, stats) => {
      if (!error) resolve(stats);
      else if (error.code === noSuchFile) resolve(undefined);
      else reject(new Error(`failed to stat remote path ${path}: ${error.message}`, { cause: error }));
    });
  });
}

async function requireLocal(path: string) {
  try {
    const file = await open(path);
    await file.close();
    return await stat(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "no such file or directory" : message;
    throw new Error(`open ${path}: ${reason}`, { cause: error });
  }
}

function sftpCall(
  what: string,
  call: (done: (error?: Error | null | undefined) => void) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => {
      if (error) reject(new Error(`${what}: ${error.message}`, { cause: error }));
      else resolve();
    });
  });
}
