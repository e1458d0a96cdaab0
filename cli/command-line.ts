import { resolve } from "node:path";
import { Command, Option, type OutputConfiguration } from "commander";
import { askSudoPasswordOption } from "./ask-sudo-password.ts";

/** An empty program: its verbs print help and one-line errors in one shape, and throw instead of ending the process. */
export function emptyProgram(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .helpCommand("help [verb]", "says what a verb does, with its options and an example")
    .enablePositionalOptions() // options behind `pulumi` are pulumi's
    .exitOverride()
    .configureOutput(hintAtMistakes("see ./pipress --help"));
}

/** Adds a verb that works on a stack: `--stack`, `--config-file` and one example, without `./pipress`, in its help. */
export function addVerb(parent: Command, usage: string, description: string, example: string): Command {
  const verb = withExample(parent.command(usage).description(description), `./pipress ${example}`);
  return verb
    .configureOutput(hintAtMistakes(`see ${callOf(verb)} --help`))
    .addOption(stackOption())
    .option("--config-file <path>", "its configuration, where that is not Pulumi.<stack>.yaml", inThisFolder);
}

export function stackOption(): Option {
  return new Option("-s, --stack <name>", "the stack (default: the selected one)");
}

export function withExample(command: Command, example: string): Command {
  return command.addHelpText("after", `\nExample:\n  ${example}`);
}

/** Options of pulumi's operations that people use, and our own, by their operations; all others go behind `--`. */
const OPERATION_OPTIONS: readonly (readonly [flags: string, description: string, operations: string])[] = [
  ["-y, --yes", "go ahead without asking", "up refresh destroy"],
  ["-f, --skip-preview", "do not preview first", "up refresh destroy"],
  ["-r, --refresh", "ask the hosts first what they serve", "up preview"],
  ["--diff", "show every change in full", "up preview refresh destroy"],
  ["-j, --json", "print the plan as JSON", "preview"],
  [...askSudoPasswordOption, "up preview refresh destroy"],
  ["--purge", "remove the models and all else that hosts have fetched, too", "destroy"],
];

/** Our own among the options of `up` and `preview`. */
export const HOSTS = "--hosts";

/** Adds a verb that is an operation of pulumi on a stack. */
export function addOperation(
  program: Command,
  operation: string,
  description: string,
  example: string,
  operate: (args: string[], isStackNamed: boolean) => Promise<void>,
): void {
  const verb = addVerb(program, operation, description, example)
    .usage("[options] [-- options of pulumi]")
    .option("-t, --target <urn>", "only this resource; may be repeated", (urn, urns: string[] = []) => [
      ...urns,
      urn,
    ])
    .configureOutput(hintAtMistakes("other options of pulumi go behind --"))
    .allowExcessArguments();
  if (operation === "up" || operation === "preview")
    verb.option(
      `${HOSTS} <name>`,
      "only this host, or those of this group or label (ring=1); may be repeated",
      (name, names: string[] = []) => [...names, name],
    );
  for (const [flags, text, operations] of OPERATION_OPTIONS)
    if (operations.split(" ").includes(operation)) verb.option(flags, text);
  verb.action(async (options: { stack?: string }) => {
    const rest = argumentsBehindDashes(program);
    const excess = verb.args.slice(0, verb.args.length - rest.length);
    if (excess.length > 0) verb.error(`error: ${operation} takes no "${excess.join(" ")}"`);
    await operate([operation, ...givenOptions(verb), ...rest], options.stack !== undefined);
  });
}

function inThisFolder(path: string): string {
  return resolve(path); // pulumi runs in the repository's folder
}

/** The options that were given, as arguments of pulumi. */
function givenOptions(command: Command): string[] {
  return command.options.flatMap((option) => {
    const flag = option.long ?? "";
    const value = command.getOptionValue(option.attributeName()) as boolean | string | string[] | undefined;
    if (value === undefined) return [];
    return typeof value === "boolean" ? [flag] : [value].flat().flatMap((text) => [flag, text]);
  });
}

function argumentsBehindDashes(program: Command): string[] {
  const { rawArgs } = program as Command & { rawArgs: string[] }; // a field that commander's types leave out
  return rawArgs.includes("--") ? rawArgs.slice(rawArgs.indexOf("--") + 1) : [];
}

/** `./pipress store ls`. */
function callOf(command: Command): string {
  return command.parent === null ? "./pipress" : `${callOf(command.parent)} ${command.name()}`;
}

/** Mistakes in one line; `hint` goes behind those for which commander knows no nearest name. */
function hintAtMistakes(hint: string): OutputConfiguration {
  return {
    outputError: (message, write) => {
      write(inOneLine(message, hint));
    },
  };
}

/** `error: unknown option '--stak'\n(Did you mean --stack?)` -> `pipress: unknown option '--stak' — did you mean --stack?`. */
function inOneLine(message: string, otherHint: string): string {
  const [what = "", ...hints] = message
    .trim()
    .replace(/^error: |\.$/g, "")
    .split("\n");
  const hint = hints.join(" ").replace(/^\(Did you mean (.*)\)$/, "did you mean $1") || otherHint;
  return `pipress: ${what} — ${hint}\n`;
}
