/** What a command writes: captured whole, shown line by line. Shared by local and remote commands. */
import type { Log } from "./engine-log.ts";
import { LineSplitter } from "./lines.ts";

/** Values of the `logging` input; left out means both (local/logging.go). An unlisted value shows nothing. */
export type Logging = "stdout" | "stderr" | "stdoutAndStderr" | "none" | (string & {});

export interface Streams {
  stdout: string;
  stderr: string;
}

export class OutputCapture {
  readonly #chunks: { stream: keyof Streams; bytes: Buffer }[] = [];
  readonly #shown: Partial<Record<keyof Streams, LineSplitter>> = {};

  constructor(log: Log, logging: Logging | undefined) {
    const show = (line: string) => {
      log.status(line);
    };
    const both = logging === undefined || logging === "stdoutAndStderr";
    if (both || logging === "stdout") this.#shown.stdout = new LineSplitter(show);
    if (both || logging === "stderr") this.#shown.stderr = new LineSplitter(show);
  }

  add(stream: keyof Streams, bytes: Buffer): void {
    this.#chunks.push({ stream, bytes });
    this.#shown[stream]?.write(bytes);
  }

  end(): void {
    this.#shown.stdout?.end();
    this.#shown.stderr?.end();
  }

  /** Both streams in the order in which they came. */
  get interleaved(): string {
    return Buffer.concat(this.#chunks.map(({ bytes }) => bytes)).toString();
  }

  /** The two outputs, each without its last newline: one, as Go's TrimSuffix takes (local/commandOutputs.go). */
  get streams(): Streams {
    return { stdout: this.#text("stdout"), stderr: this.#text("stderr") };
  }

  #text(stream: keyof Streams): string {
    const bytes = this.#chunks.filter((chunk) => chunk.stream === stream).map((chunk) => chunk.bytes);
    return Buffer.concat(bytes).toString().replace(/\n$/, "");
  }
}

/**
 * What the last run left for the next one. Empty outputs set nothing (local/commandOutputs.go), and neither does
 * `addPreviousOutputInEnv: false`.
 */
export function previousOutput(
  previous: Partial<Streams>,
  wanted: boolean | undefined,
): Record<string, string> {
  if (wanted === false) return {};
  return {
    ...(previous.stdout && { PULUMI_COMMAND_STDOUT: previous.stdout }),
    ...(previous.stderr && { PULUMI_COMMAND_STDERR: previous.stderr }),
  };
}
