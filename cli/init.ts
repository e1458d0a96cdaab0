import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { repoRoot } from "../common/paths.ts";
import { formatBytes } from "../common/units.ts";
import { UserError, type Problem } from "../common/user-error.ts";
import { sudoPasswordVariable } from "../infra/ansible/sudo-password.ts";
import { parseStackConfig } from "../infra/config/load.ts";
import { defaultUser } from "../infra/config/host-schema.ts";
import { lookAtBoard, trySudoPassword, type Board } from "../infra/fleet/board.ts";
import { loadModel } from "../infra/model/model.ts";
import { choiceLines, choices, fitting, type Choice } from "../infra/prediction/choice.ts";
import { findHostKey } from "../infra/ssh/known-hosts.ts";
import { fingerprint, type Machine } from "../infra/ssh/machine.ts";
import { findPis } from "../infra/ssh/neighbours.ts";
import { scanHostKey } from "../infra/ssh/scan.ts";
import { doctor } from "./doctor.ts";
import { environment } from "./environment.ts";
import { passphraseFile, passphraseProblem, shown, writePassphrase } from "./passphrase.ts";
import { atTerminal, unattended, type Questions } from "./questions.ts";
import { pulumiPath, pulumiText } from "./run-pulumi.ts";
import { bootstrapOnce } from "./stack.ts";

/** Every answer that `./pipress init` asks for, as options give it. */
export interface InitOptions {
  /** `[user@]address[:port]`. */
  host?: string[];
  user?: string;
  key?: string;
  /** Fingerprints, `SHA256:…`. */
  hostKey?: string[];
  model?: string;
  recipe?: string;
  prepare?: boolean;
}

/** A board that was looked at. */
interface FoundHost {
  machine: Machine;
  board: Board;
}

/** How ssh's own tool prints the fingerprint, on the Pi. */
const COMPARE = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub";

/** As sudo itself has it. */
const MOST_TRIES = 3;

/** Below this reading along is no pleasure. */
const FAST_ENOUGH = 3;

/**
 * `./pipress init [STACK]`: asks what a stack needs, looks at the boards, writes the stack's file, makes the stack, and runs
 * `doctor`. Nothing is written before the last answer, and nothing that is there is written over.
 * @returns the status of `doctor`
 */
export async function init(stack = "home", options: InitOptions = {}): Promise<number> {
  const isAttended = process.stdin.isTTY && process.stderr.isTTY;
  try {
    return await initWith(stack, options, isAttended ? atTerminal : unattended);
  } catch (error) {
    if ((error as Error).name !== "ExitPromptError") throw error; // Ctrl-C at a question
    throw new UserError({ where: "init", what: "cancelled; nothing was written" });
  }
}

async function initWith(stack: string, options: InitOptions, ask: Questions): Promise<number> {
  const file = join(repoRoot, `Pulumi.${stack}.yaml`);
  checkStack(stack, file);
  if (options.model !== undefined && options.recipe !== undefined)
    throw new UserError({ where: "init", what: "--model and --recipe name two models; keep one" });
  if (options.model !== undefined || options.recipe !== undefined) loadModel(options);
  if (!ask.isInteractive) checkAnswers(options);

  const machines = await identify(await addresses(options, ask), options, ask);
  const hosts = await all(machines, async (machine) => ({ machine, board: await lookAtBoard(machine) }));
  for (const { machine, board } of hosts) say(`${machine.address}: ${describeBoard(board)}`);
  const password = await sudoPassword(hosts, ask);
  const prepare = await whetherToPrepare(hosts, options, ask);
  const named = await chooseModel(hosts, options, ask);
  await makePassphrase(stack, file, ask);

  const text = stackFile(named, hosts, prepare);
  writeFileSync(file, text, { flag: "wx" });
  say(`Pulumi.${stack}.yaml: written; it is yours to read and edit`);
  await bootstrapOnce();
  await makeStack(stack);
  if (password !== undefined) await setSecret(stack, "pipress:sudoPassword", password);
  const code = await doctor({ stack });
  const next =
    code === 0 ? "next: `./pipress up`, then `./pipress chat`" : "put that right, then `./pipress up`";
  say(next);
  return code;
}

function say(line: string): void {
  console.error(line);
}

/** @throws UserError where the name cannot be, or is taken */
function checkStack(stack: string, file: string): void {
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(stack))
    throw new UserError({
      where: "init",
      what: `"${stack}" is no name of a stack: letters, digits, and . _ - only`,
    });
  if (existsSync(file))
    throw new UserError({
      where: `Pulumi.${stack}.yaml`,
      what: "is there already, and is not written over",
      remedy: "edit it, or give the new stack another name: `./pipress init NAME`",
    });
}

/** Where nobody answers. @throws UserError with every option that is missed */
function checkAnswers({ host = [], model, recipe }: InitOptions): void {
  const problems: Problem[] = [];
  if (host.length === 0)
    problems.push({ where: "init", what: "no board is named", remedy: "--host pi-1.local, once for each" });
  if (model === undefined && recipe === undefined)
    problems.push({
      where: "init",
      what: "no model is named",
      remedy: "--model NAME; `./pipress models` lists them",
    });
  if (problems.length > 0) throw new UserError(problems);
}

async function addresses({ host = [] }: InitOptions, ask: Questions): Promise<string[]> {
  if (host.length > 0) return host;
  say("looking for Raspberry Pis on this network");
  const found = await findPis();
  const answers = found.map(({ address, name }) => ({
    name: name === undefined ? address : `${name} (${address})`,
    value: name ?? address,
  }));
  const chosen =
    answers.length === 0 ? [] : await ask.several("Which of them shall serve?", answers, "--host ADDRESS");
  if (answers.length === 0) say("none was seen");
  for (;;) {
    const more = (
      await ask.text(
        chosen.length === 0 ? "Address of a Raspberry Pi:" : "Another address (empty for none):",
        "--host ADDRESS",
      )
    ).trim();
    if (more !== "") chosen.push(more);
    else if (chosen.length > 0) return chosen;
  }
}

/** Machines with host keys that somebody has vouched for. @throws UserError with every address that cannot be, and every key that nobody has */
async function identify(
  written: readonly string[],
  { user, key, hostKey: wanted = [] }: InitOptions,
  ask: Questions,
): Promise<Machine[]> {
  const places = await all(written, parseAddress);
  const isNamed = user !== undefined || places.every((place) => place.user !== undefined);
  const signedIn = isNamed ? user : (await askUser(ask)) || defaultUser;
  const keys = await all(places, async ({ address, port }) => {
    const known = await findHostKey(address, port);
    return { isKnown: known !== undefined, hostKey: known ?? (await scanHostKey(address, port)) };
  });
  const machines: Machine[] = [];
  const problems: Problem[] = [];
  for (const [index, { isKnown, hostKey }] of keys.entries()) {
    const { address, port, user: own } = places[index] as Place;
    const print = fingerprint(hostKey);
    const machine = { name: address, address, port, user: own ?? signedIn ?? defaultUser, hostKey };
    machines.push(key === undefined ? machine : { ...machine, privateKeyFile: keyPath(key) });
    if (isKnown || wanted.includes(print)) continue;
    const what = `shows the host key ${print}, which nobody here knows`;
    if (!ask.isInteractive || wanted.length > 0) {
      const remedy = `compare it with what \`${COMPARE}\` prints on the Pi, and give it: --host-key ${print}`;
      problems.push({ where: address, what, remedy });
    } else {
      say(`${address} ${what}. On the Pi itself, \`${COMPARE}\` prints its own.`);
      if (!(await ask.yes("Are they the same?", `--host-key ${print}`)))
        problems.push({
          where: address,
          what: "has another host key: somebody else may answer at this address",
        });
    }
  }
  if (problems.length > 0) throw new UserError(problems);
  return machines;
}

/** As the stack's file takes it. */
function keyPath(written: string): string {
  return written.startsWith("~/") ? written : resolve(written);
}

function askUser(ask: Questions): Promise<string> {
  return ask.isInteractive
    ? ask.text(`User on the boards, with the right to use sudo (empty for ${defaultUser}):`, "--user NAME")
    : Promise.resolve("");
}

interface Place {
  address: string;
  port: number;
  user?: string | undefined;
}

/** `[user@]address[:port]`, an IPv6 address in brackets where a port follows. @throws UserError where it is something else */
export function parseAddress(text: string): Place {
  const match = /^(?:([^@\s]+)@)?(?:\[([^\]\s]+)\]|([^:@\s]+|[0-9a-f]*:[0-9a-f:]+))(?::(\d+))?$/i.exec(
    text.trim(),
  );
  const port = Number(match?.[4] ?? 22);
  if (match === null || port < 1 || port > 65535)
    throw new UserError({
      where: text,
      what: "is no address",
      remedy: "write [USER@]NAME[:PORT], e.g. anna@pi-1.local",
    });
  return { user: match[1], address: match[2] ?? match[3] ?? "", port };
}

/** Does the same for all of them. @throws UserError with the problems of all of them */
async function all<From, To>(items: readonly From[], work: (item: From) => To | Promise<To>): Promise<To[]> {
  const settled = await Promise.allSettled(items.map(async (item) => work(item)));
  const problems: Problem[] = [];
  const done: To[] = [];
  for (const one of settled) {
    if (one.status === "fulfilled") done.push(one.value);
    else if (one.reason instanceof UserError) problems.push(...one.reason.problems);
    else throw one.reason;
  }
  if (problems.length > 0) throw new UserError(problems);
  return done;
}

function describeBoard({ model, memoryBytes, asksForPassword, countsMemory }: Board): string {
  return [
    model === "" ? "a board without a name" : model,
    `${formatBytes(memoryBytes)} of memory`,
    ...(asksForPassword ? ["sudo asks for a password"] : []),
    ...(countsMemory ? [] : ["the kernel counts no memory per service"]),
  ].join(", ");
}

/** The password of sudo, tried where it is needed; undefined where it is not. */
async function sudoPassword(hosts: readonly FoundHost[], ask: Questions): Promise<string | undefined> {
  const asking = hosts.filter(({ board }) => board.asksForPassword);
  if (asking.length === 0) return undefined;
  const names = asking.map(({ machine }) => machine.address).join(", ");
  const given = process.env[sudoPasswordVariable];
  const question = `Password of sudo on ${names}:`;
  for (let tries = 1; ; tries++) {
    const password =
      given ?? (await ask.secret(question, `put it into the environment as ${sudoPasswordVariable}`));
    try {
      await all(asking, ({ machine }) => trySudoPassword(machine, password));
      return password;
    } catch (error) {
      if (!(error instanceof UserError) || given !== undefined || tries === MOST_TRIES) throw error;
      say(error.message);
    }
  }
}

/** Whether the first `up` may switch the kernel's memory accounting on, and reboot. */
async function whetherToPrepare(
  hosts: readonly FoundHost[],
  { prepare }: InitOptions,
  ask: Questions,
): Promise<boolean> {
  const lacking = hosts.filter(({ board }) => !board.countsMemory).map(({ machine }) => machine.address);
  if (prepare !== undefined || lacking.length === 0) return prepare ?? false;
  if (!ask.isInteractive) return false; // it works without; `doctor` says what is missed
  say(`without memory accounting a release has no limit of memory on ${lacking.join(", ")}`);
  return ask.yes("Switch it on at the first `up`, which reboots?", "--prepare", true);
}

/** The lines of the stack's file that name a model. */
type Named = { "pipress:model": string } | { "pipress:recipe": string };

async function chooseModel(
  hosts: readonly FoundHost[],
  { model, recipe }: InitOptions,
  ask: Questions,
): Promise<Named> {
  if (recipe !== undefined) return { "pipress:recipe": recipe };
  const smallest = Math.min(...hosts.map(({ board }) => board.memoryBytes));
  if (model !== undefined) return { "pipress:model": model };
  const fit = fitting(choices(), { bytes: smallest }).filter(({ kind }) => kind === "model");
  const best = recommended(fit);
  if (best === undefined)
    throw new UserError({
      where: "init",
      what: `no model of the catalogue fits ${formatBytes(smallest)} of memory`,
      remedy: "`./pipress models` says what each needs",
    });
  const [head = "", ...lines] = choiceLines(fit);
  say(`  ${head}`);
  const answers = fit.map(({ name }, index) => ({ name: lines[index] ?? name, value: name }));
  return { "pipress:model": await ask.one("Model:", answers, best.name, "--model NAME") };
}

/** The largest that can be read along with; where none is so fast, the fastest. */
export function recommended(fit: readonly Choice[]): Choice | undefined {
  const fast = fit.filter(({ tokensPerSecond }) => tokensPerSecond >= FAST_ENOUGH);
  return fast.sort((a, b) => b.fileBytes - a.fileBytes)[0] ?? fit[0];
}

/** Where the user has none for stacks, one is made. @throws UserError where the one in use would protect nothing */
async function makePassphrase(stack: string, file: string, ask: Questions): Promise<void> {
  const backend = process.env.PULUMI_BACKEND_URL ?? "file:";
  const problem = passphraseProblem({ name: stack, backend, file }, process.env);
  if (problem === undefined) return;
  if (problem.kind !== "none") throw new UserError(problem);
  const path = shown(passphraseFile());
  if (ask.isInteractive) {
    const question = `Write a random passphrase, which protects the secrets of your stacks, to ${path}?`;
    if (!(await ask.yes(question, "", true))) throw new UserError(problem);
  }
  writePassphrase();
  say(`${path}: written; keep a copy, without it nobody reads your stacks' secrets again`);
}

/** @throws UserError with what there is to do where a stack of that name is there already, without its file */
async function makeStack(stack: string): Promise<void> {
  try {
    await pulumiText(["stack", "init", "--stack", stack]);
  } catch (error) {
    if (!(error instanceof UserError) || !error.message.includes("already exists")) throw error;
    throw new UserError({
      where: `stack ${stack}`,
      what: "is there already, from before its file was; the new file stays",
      remedy: `where it serves nothing any more, \`./pipress pulumi stack rm ${stack} --preserve-config\`, then \`./pipress pulumi stack init ${stack}\``,
    });
  }
}

/** The stack's file. Checked as `up` will check it. */
export function stackFile(named: Named, hosts: readonly FoundHost[], prepare: boolean): string {
  const names = hostNames(hosts);
  const config = {
    ...named,
    "pipress:hosts": hosts.map(({ machine: { address, port, user, hostKey, privateKeyFile } }, index) => ({
      name: names[index],
      address,
      ...(port !== 22 && { port }),
      ...(user !== defaultUser && { user }),
      hostKey,
      ...(privateKeyFile !== undefined && { privateKeyFile }),
    })),
    ...(prepare && { "pipress:prepareHosts": true }),
  };
  parseStackConfig(
    Object.fromEntries(
      Object.entries(config).map(([key, value]) => [
        key,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  );
  return stringify({ config }, { lineWidth: 0 });
}

/** Names by what the boards call themselves; a second `raspberrypi` is `raspberrypi-2`. */
function hostNames(hosts: readonly FoundHost[]): string[] {
  const names: string[] = [];
  for (const { board } of hosts) {
    const name =
      board.hostname
        .toLowerCase()
        .replace(/[^a-z0-9.-]+/g, "-")
        .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "") || "pi";
    let free = name;
    for (let count = 2; names.includes(free); count++) free = `${name}-${count}`;
    names.push(free);
  }
  return names;
}

async function setSecret(stack: string, key: string, value: string): Promise<void> {
  const { exitCode, stderr } = await execa(
    pulumiPath(),
    ["config", "set", "--secret", key, "--stack", stack],
    {
      ...{ cwd: repoRoot, env: environment(stack), input: value, reject: false },
    },
  );
  if (exitCode !== 0)
    throw new UserError({ where: `stack ${stack}`, what: stderr.trim().replace(/^error: /, "") });
}
