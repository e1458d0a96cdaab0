import { randomBytes } from "node:crypto";

/**
 * A script for sh as a command that every login shell takes as it is: fish and csh read quotes and line breaks in another
 * way, so whatever a shell might take for its own travels as its number. sh reads it back without another program.
 */
export function underSh(script: string): string {
  const encoded = Array.from(Buffer.from(script), (byte) => {
    const letter = String.fromCharCode(byte);
    return /[\w /.,:=-]/.test(letter) ? letter : `\\0${byte.toString(8).padStart(3, "0")}`;
  }).join("");
  return `exec sh -c 'eval "$(printf %b "${encoded}")"'`;
}

/** What a login shell prints by itself (`.bashrc`, a greeting) ends at this line, which nobody else prints. */
export class OutputMark {
  readonly #line = `pipress-${randomBytes(8).toString("hex")}`;

  /** Prints the line; what the shell printed last may have no line end. */
  get command(): string {
    return `echo; echo ${this.#line}`;
  }

  /** What was printed after the mark; undefined where it has not been printed. */
  outputAfter(output: string): string | undefined {
    const line = `\n${this.#line}\n`;
    const at = output.indexOf(line);
    return at < 0 ? undefined : output.slice(at + line.length);
  }
}
