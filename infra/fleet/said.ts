/** What a script on a host prints as `name value` lines, by name; a name without a value has an empty one. */
export function said(output: string): Map<string, string> {
  return new Map(
    output.split("\n").map((line): [string, string] => {
      const [, name = "", value = ""] = /^(\w+) ?(.*)$/.exec(line) ?? [];
      return [name, value.trim()];
    }),
  );
}
