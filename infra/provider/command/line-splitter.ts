/**
 * Cuts a stream of bytes into lines for display, as they come. A carriage return ends a line too, so that a progress bar
 * shows its latest state, and a line may be of any length: the official provider stops reading at 64 KiB without a
 * newline (util/util.go, bufio.Scanner), which blocks the command (pulumi-command #201, #563). What is too long to show is
 * cut; the captured output is not touched.
 */
import { StringDecoder } from "node:string_decoder";

const maxShown = 8 * 1024;

export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  #partial = "";

  constructor(private readonly emit: (line: string) => void) {}

  write(chunk: Buffer): void {
    const lines = (this.#partial + this.#decoder.write(chunk)).split(/\r\n|\n|\r(?=.)/s);
    this.#partial = (lines.pop() ?? "").slice(0, maxShown);
    for (const line of lines) this.emit(line.slice(0, maxShown));
  }

  /** Emits what came after the last newline. */
  end(): void {
    const rest = (this.#partial + this.#decoder.end()).replace(/\r$/, "");
    this.#partial = "";
    if (rest) this.emit(rest);
  }
}
