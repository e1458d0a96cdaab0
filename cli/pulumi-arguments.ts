/** What the arguments of `pulumi` say, as far as a stack's passphrase is concerned. */

/** Operations that encrypt or decrypt a stack's secrets. */
const WITH_SECRETS = new Set(
  "up update preview pre refresh destroy dn import watch config state new".split(" "),
);
const OF_STACK = new Set("init output import change-secrets-provider".split(" "));

/** Whether pulumi needs the passphrase of the stack that it works on. */
export function needsPassphrase(args: readonly string[]): boolean {
  const [operation = "", verb = ""] = args;
  if (operation !== "stack") return WITH_SECRETS.has(operation);
  if (verb === "select") return args.includes("--create") || args.includes("-c");
  return OF_STACK.has(verb);
}

/** The stack that the arguments name; undefined where they name none. */
export function namedStack(args: readonly string[]): string | undefined {
  const option = optionOf(args, "--stack", "-s");
  if (option !== undefined) return option;
  const [operation, verb, ...rest] = args;
  if (operation !== "stack" || (verb !== "init" && verb !== "select")) return undefined;
  // The name is the one argument that is neither an option nor an option's value.
  return rest.find((arg, at) => !arg.startsWith("-") && !OPTIONS_WITH_VALUE.has(rest[at - 1] ?? ""));
}

const OPTIONS_WITH_VALUE = new Set([
  "--secrets-provider",
  "--copy-config-from",
  "--teams",
  "--config-file",
  "--cwd",
  "-C",
  "--color",
]);

/** `organization/pipress/home` -> `home`. */
export function shortName(stack: string): string {
  return stack.split("/").at(-1) ?? stack;
}

/** The value of an option, as `--stack home`, `--stack=home` or `-s home`. */
export function optionOf(args: readonly string[], ...names: readonly string[]): string | undefined {
  for (const [at, arg] of args.entries()) {
    if (names.includes(arg)) return args[at + 1];
    const [name = "", ...value] = arg.split("=");
    if (value.length > 0 && names.includes(name)) return value.join("=");
  }
  return undefined;
}

/** Takes an option that may be repeated out of the arguments. @returns its values, and the other arguments */
export function takeOption(args: readonly string[], name: string): { values: string[]; rest: string[] } {
  const isValue = (at: number): boolean => args[at - 1] === name;
  return {
    values: args.filter((_, at) => isValue(at)),
    rest: args.filter((arg, at) => arg !== name && !isValue(at)),
  };
}
