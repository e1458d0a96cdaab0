import { randomBytes } from "node:crypto";

/**
 * A script for sh as a command that every login shell takes as it is: fish and csh read quotes and line breaks in another
 * way, so it travels as letters and digits.
 */
export function underSh(script: string): string {
  const encoded = Buffer.from(script).toString("base64");
  return `exec sh -c 'eval "$(echo ${encoded} | base64 -d)"'`;
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
