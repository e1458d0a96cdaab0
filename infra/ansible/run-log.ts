import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Logs kept of each host and playbook; runs that succeed leave none. */
const kept = 10;

/** The log of one run, readable by its owner only. */
export class RunLog {
  readonly #stream: WriteStream;
  readonly #texts: string[] = [];

  private constructor(readonly path: string) {
    this.#stream = createWriteStream(path, { mode: 0o600 });
  }

  /** @param name what the log is of, e.g. `pi-0-site`; the time is added */
  static async open(folder: string, name: string): Promise<RunLog> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const old = (await readdir(folder)).filter((file) => file.startsWith(`${name}-2`)).sort();
    await Promise.all(old.slice(0, -(kept - 1)).map((file) => rm(join(folder, file), { force: true })));
    return new RunLog(join(folder, `${name}-${new Date().toISOString().replace(/[:.]/g, "-")}.log`));
  }

  /** @param isEvent whether it is one of the events, not something that Ansible says of its own */
  write(line: string, isEvent: boolean): void {
    if (!isEvent && line.trim() !== "") this.#texts.push(line.trim());
    this.#stream.write(`${line}\n`);
  }

  /** The last lines that were no events: where Ansible itself says why it cannot run. */
  get lastText(): string {
    return this.#texts.slice(-3).join(" ");
  }

  async close(keep: boolean): Promise<void> {
    await new Promise<void>((resolve) => this.#stream.end(resolve));
    if (!keep) await rm(this.path, { force: true });
  }
}
