/** The words in which a failed command is reported: those of the official provider, kept to a size that arrives. */

/** gRPC carries error texts in a header, which has a limit (64 KiB for Node's HTTP/2, after percent-encoding). */
const maxEncodedBytes = 32 * 1024;
const maxCommandLength = 2000;

/**
 * The error of a command that did not succeed: what became of it, the command, and what it wrote
 * (local/commandOutputs.go: `%w: running %q:\n%s`). Of a long output the end is kept, where errors stand.
 * @param fate e.g. `exit status 3`
 * @param output stdout and stderr as they came
 */
export function commandFailure(fate: string, command: string, output: string): string {
  const head = `${fate}: running ${quote(shortened(command))}:\n`;
  return head + tail(output, maxEncodedBytes - encodedLength(head));
}

/** A string in double quotes as Go's `%q` writes it. */
export function quote(text: string): string {
  const named: Record<string, string> = {
    "\x07": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
  };
  // eslint-disable-next-line no-control-regex
  const escaped = text.replace(/[\x00-\x1f\x7f\\"]/g, (character) => {
    const hex = character.charCodeAt(0).toString(16).padStart(2, "0");
    return named[character] ?? `\\x${hex}`;
  });
  return `"${escaped}"`;
}

function shortened(command: string): string {
  if (command.length <= maxCommandLength) return command;
  return `${command.slice(0, maxCommandLength)}… (${command.length - maxCommandLength} characters more)`;
}

function tail(output: string, budget: number): string {
  if (output.length <= budget && encodedLength(output) <= budget) return output;
  const notice = "… (earlier output left out)\n";
  let kept = output.slice(-budget);
  while (encodedLength(notice + kept) > budget) kept = kept.slice(Math.ceil(kept.length / 8));
  return notice + kept;
}

/** Upper bound of a text's length once percent-encoded: every byte that is not plain may take three. */
function encodedLength(text: string): number {
  const bytes = Buffer.byteLength(text);
  const plain = text.replace(/[^\w .,:;/()=-]/g, "").length;
  return plain + (bytes - plain) * 3;
}
