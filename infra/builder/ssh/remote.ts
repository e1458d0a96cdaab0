/** The scripts that are run with sh on a builder machine. Plain functions of their inputs: nothing here connects. */
import { quote } from "../../../common/shell.ts";
import type { SshBuilderConfig } from "../../config/schema.ts";

/** Exit status by which the builder machine says that it has not got the source yet. */
export const sourceMissing = 79;

/** Interpreters that stages and jobs run with, in the order in which they are tried. */
const interpreters = "python3 python3.14 python3.13 python3.12 python3.11";

function lines(...script: readonly string[]): string {
  return script.join("\n");
}

/** Goes on as `python -m pipress ARGS` from the source in `$source`, under the first interpreter that will do. */
function becomePipress(args: string): string[] {
  return [
    `for python in ${interpreters}; do`,
    '  "$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || continue',
    `  PYTHONPATH="$source/models" exec "$python" -m pipress ${args}`,
    "done",
    'echo "builder: the builder machine has no Python 3.11 or newer — install it there (Debian 12, Ubuntu 24.04: python3)" >&2',
    "exit 1",
  ];
}

/** Sets `cache` and `data` by the rules of `common/paths.ts`. */
function folders({ folder }: SshBuilderConfig): string[] {
  const given = `export PIPRESS_CACHE=${quote(`${folder}/cache`)} PIPRESS_DATA=${quote(`${folder}/data`)}`;
  return [
    ...(folder === undefined ? [] : [given]),
    'cache="${PIPRESS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pipress}"',
    'data="${PIPRESS_DATA:-${XDG_DATA_HOME:-$HOME/.local/share}/pipress}"',
  ];
}

/** Makes the builder machine ready and runs the stage whose spec comes on standard input. */
export function runStage(machine: SshBuilderConfig, digest: string): string {
  return lines(
    ...folders(machine),
    `source="$cache/builder/${digest}"`,
    `[ -f "$source/builder.json" ] || exit ${String(sourceMissing)}`,
    ...becomePipress('builder run "$source"'),
  );
}

/** Looks at the builder machine's jobs, `python -m pipress jobs ARGS`, with whichever source was sent last. */
export function lookAtJobs(machine: SshBuilderConfig, args: readonly string[]): string {
  return lines(
    ...folders(machine),
    // By the length of their digests, without those that are being unpacked.
    `source=$(ls -dt "$cache"/builder/${"?".repeat(16)}/ 2>/dev/null | head -n 1)`,
    '[ -n "$source" ] || { echo "builder: no stage has run on this machine yet" >&2; exit 1; }',
    ...becomePipress(`jobs --dir "$data/jobs" ${args.map(quote).join(" ")}`),
  );
}

/** Unpacks the source from standard input; it appears in its place as a whole or not at all. */
export function receiveSource(machine: SshBuilderConfig, digest: string): string {
  return lines(
    "set -e",
    ...folders(machine),
    'mkdir -p "$cache/builder"',
    `part=$(mktemp -d "$cache/builder/${digest}.XXXXXX")`,
    'tar -xzf - -C "$part"',
    `mv -T "$part" "$cache/builder/${digest}" 2>/dev/null || rm -rf "$part"`,
    `[ -f "$cache/builder/${digest}/builder.json" ]`,
  );
}

/** Prints what stages need there and the builder machine lacks, a line each. */
export function listMissing(): string {
  return lines(
    `for python in ${interpreters}; do`,
    '  "$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null && found=yes',
    "done",
    '[ "$found" = yes ] || echo "Python 3.11"',
    'for tool in cmake ninja c++; do command -v "$tool" >/dev/null || echo "$tool"; done',
  );
}

/** Prints the specs of the jobs at work, a line each. */
export function printSpecs(machine: SshBuilderConfig): string {
  return lines(
    ...folders(machine),
    'for spec in "$data"/jobs/*/spec.json; do [ -f "$spec" ] && tr -d "\\n" < "$spec" && echo; done; true',
  );
}
