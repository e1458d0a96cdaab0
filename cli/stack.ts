import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { didYouMean } from "../common/nearest.ts";
import { repoRoot } from "../common/paths.ts";
import { readYaml } from "../common/read-yaml.ts";
import { UserError } from "../common/user-error.ts";
import { loadFleet } from "../infra/config/fleet.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import { parseStackConfig } from "../infra/config/load.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import { servedModels } from "../infra/config/served-models.ts";
import { planServings, type Serving } from "../infra/fleet/serving.ts";
import type { Store } from "../infra/store/store.ts";
import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import { shortName } from "./pulumi-arguments.ts";
import { pulumiJson, pulumiText } from "./run-pulumi.ts";

/** What the command line says about the stack that a verb works on. */
export interface StackOptions {
  /** As pulumi takes it: `home` or `organization/pipress/home`. @default the selected stack */
  stack?: string | undefined;
  /** @default `Pulumi.<stack>.yaml` beside the program */
  configFile?: string | undefined;
}

/** A stack and what is configured for it. */
export interface Stack {
  /** As pulumi takes it, e.g. `organization/pipress/home`. */
  fullName: string;
  /** The last part of that, by which the program knows it. */
  name: string;
  /** Path of its configuration. */
  configFile: string;
  config: StackConfig;
}

let bootstrapped: Promise<void> | undefined;

/** Puts everything in place, however many steps of a verb need it. */
export function bootstrapOnce(): Promise<void> {
  return (bootstrapped ??= bootstrap());
}

/** No verb needs it, so that none needs the passphrase for it. */
const TOKEN = "pipress:huggingFaceToken";

/**
 * Opens the stack a verb works on and puts in place what the verb needs. A stack that is named is read first, so that a slip
 * in its name or file is answered at once.
 * @throws UserError with every problem
 */
export async function openStack(options: StackOptions): Promise<Stack> {
  const stack = await readStack(options);
  await bootstrapOnce();
  return stack;
}

/** A stack with its checked configuration. @throws UserError with every problem */
export async function readStack(options: StackOptions): Promise<Stack> {
  const { stack, file, values } = await readValues(options, (key) => key !== TOKEN);
  return {
    fullName: stack,
    name: shortName(stack),
    configFile: file,
    config: parseStackConfig(values),
  };
}

/** One value of a stack's configuration, unchecked, e.g. of `pipress:store`. */
export async function readStackValue(key: string, options: StackOptions): Promise<string | undefined> {
  return (await readValues(options, (other) => other === key)).values[key];
}

/** @param isNeeded which keys are needed */
async function readValues(options: StackOptions, isNeeded: (key: string) => boolean) {
  const stack = options.stack ?? (await selectedStack());
  const file = options.configFile ?? fileOf(stack);
  const values = await readStackFile(file, isNeeded, () => decryptedValues(stack, file));
  return { stack, file, values };
}

/**
 * What a stack file says, as Pulumi hands it to the program: text by key.
 * @param isNeeded which keys are needed
 * @param decrypt asks Pulumi for all values; called only where a needed one is encrypted
 */
export async function readStackFile(
  file: string,
  isNeeded: (key: string) => boolean,
  decrypt: () => Promise<Record<string, string>>,
): Promise<Record<string, string>> {
  const needed = Object.entries(parseStackFile(file)).filter(([key]) => isNeeded(key));
  const decrypted = needed.some(([, value]) => holdsSecret(value)) ? await decrypt() : {};
  return Object.fromEntries(needed.map(([key, value]) => [key, decrypted[key] ?? textOf(value)]));
}

function parseStackFile(file: string): Record<string, unknown> {
  if (!existsSync(file)) throw new UserError({ where: file, what: "there is no such file" });
  const { config } = (readYaml(file) ?? {}) as { config?: Record<string, unknown> };
  return config ?? {};
}

async function decryptedValues(stack: string, file: string): Promise<Record<string, string>> {
  await bootstrapOnce();
  const options = ["--json", "--show-secrets", "--stack", stack, "--config-file", file];
  const entries = await pulumiJson<Record<string, { value: string }>>(["config", ...options]);
  return Object.fromEntries(Object.entries(entries).map(([key, { value }]) => [key, value]));
}

/** Whether a value, or a part of it, is encrypted: Pulumi writes `secure: v1:…` in its place. */
function holdsSecret(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { secure } = value as { secure?: unknown };
  return typeof secure === "string" || Object.values(value).some(holdsSecret);
}

/** As Pulumi hands over what is no text. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function fileOf(stack: string): string {
  const name = shortName(stack);
  const file = join(repoRoot, `Pulumi.${name}.yaml`);
  if (existsSync(file)) return file;
  const known = namesOfStackFiles();
  throw new UserError({
    where: `Pulumi.${name}.yaml`,
    what: `there is no stack "${name}"`,
    remedy: didYouMean(name, known) ?? `one of: ${known.join(", ")}`,
  });
}

/** What the file of a stack says, secrets encrypted. */
export function writtenConfig(stack: string): Record<string, unknown> {
  return parseStackFile(join(repoRoot, `Pulumi.${stack}.yaml`));
}

/** The stacks that have a file beside the program. */
export function namesOfStackFiles(): string[] {
  return readdirSync(repoRoot).flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
}

/** The stack that pulumi works on where none is named. @throws UserError where none is selected */
export async function selectedStack(): Promise<string> {
  await bootstrapOnce();
  try {
    const options = ["--show-name", "--fully-qualify-stack-names", "--non-interactive"];
    return (await pulumiText(["stack", ...options])).trim();
  } catch (error) {
    if (!(error instanceof UserError) || !error.message.includes("no stack selected")) throw error;
    throw new UserError({
      where: "stack",
      what: "none is selected",
      remedy:
        "name one with --stack, or select it: `./pipress pulumi stack select NAME` (`npm start` makes and selects dev)",
    });
  }
}

/** The same, but undefined where none is selected. */
export async function selectedStackIfAny(): Promise<string | undefined> {
  try {
    return await selectedStack();
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** All hosts of a stack, those of its inventory included. */
export async function hostsOf(config: StackConfig): Promise<HostConfig[]> {
  return loadFleet(config, readToolchain().ansiblePlaybook);
}

/** How every model of a stack is made, and by whom it is served. */
export function servingsOf(
  config: StackConfig,
  fleet: readonly HostConfig[],
  store: Store,
): Promise<Serving[]> {
  return planServings({ config, models: servedModels(config), fleet, store, toolchain: readToolchain() });
}
