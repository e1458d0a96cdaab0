import { InvalidArgumentError, Option, type Command } from "commander";
import { parseBytes } from "../common/units.ts";
import { askSudoPassword, askSudoPasswordOption } from "./ask-sudo-password.ts";
import { addOperation, addVerb, emptyProgram, stackOption, withExample } from "./command-line.ts";

/**
 * Every verb of `./pipress`, with its options and an example. A verb's module is loaded when the verb runs, so that help and
 * mistakes in the command line are answered at once.
 * @param onExit takes the exit status of the verb that ran
 */
export function buildProgram(onExit: (code: number) => void): Command {
  const runs =
    <Args extends unknown[]>(load: () => Promise<(...args: Args) => Promise<number>>) =>
    async (...args: Args): Promise<void> => {
      onExit(await (await load())(...args));
    };
  const program = emptyProgram(
    "pipress",
    "Compresses a Llama-family model and rolls it out to a fleet of Raspberry Pi 4s.",
  );
  program.hook("preAction", async (_, verb) => {
    if (verb.opts<{ askSudoPassword?: true }>().askSudoPassword) await askSudoPassword();
  });

  const operate = runs(async () => (await import("./pulumi.ts")).operate);
  addOperation(program, "up", "makes the model and rolls it out", "up --yes", operate);
  addOperation(program, "preview", "says what `up` would do", "preview --diff", operate);
  addOperation(program, "refresh", "asks the hosts what they serve", "refresh --yes", operate);
  addOperation(program, "destroy", "takes everything off the hosts", "destroy --stack home", operate);

  withExample(
    program.command("init [stack]"),
    "./pipress init home --host anna@pi-1.local --model qwen3-0.6b",
  )
    .description("asks for boards and model, and makes a stack of them")
    .option("--host <address>", "a board, as [USER@]NAME[:PORT]; may be repeated", several)
    .option("--user <name>", "user on the boards, who may use sudo")
    .option("--key <file>", "private key on this machine (default: those of ssh)")
    .option("--host-key <fingerprint>", "host key that a board may show, SHA256:…; may be repeated", several)
    .option("--model <name>", "a model of the catalogue")
    .option("--recipe <name>", "a recipe that makes the model, in its place")
    .option("--prepare", "let the first `up` switch memory accounting on, which reboots a board")
    .option("--no-prepare", "leave the boards' kernels alone")
    .action(runs(async () => (await import("./init.ts")).init));
  addVerb(program, "doctor", "looks for what would stop an `up`, and runs nothing", "doctor --stack home")
    .option("-j, --json", "print all findings as JSON")
    .option(...askSudoPasswordOption)
    .action(runs(async () => (await import("./doctor.ts")).doctor));
  addVerb(program, "status", "shows stages, jobs, hosts and costs", "status --stack home")
    .option("-w, --watch", "ask the hosts again every five seconds, until Ctrl-C")
    .action(runs(async () => (await import("./status.ts")).status));
  addVerb(program, "logs <host-or-stage>", "shows a host's journal, or follows a stage's log", "logs pi-1")
    .option("-f, --follow", "go on with the journal until Ctrl-C")
    .action(runs(async () => (await import("./logs.ts")).logs));

  withExample(program.command("models"), "./pipress models --memory 4GB --speed 3")
    .description("lists what a Raspberry Pi 4 can run, with predicted speed and memory")
    .option("-m, --memory <size>", "memory of the board, e.g. 4GB", boardMemory)
    .option("-s, --speed <tokens>", "least tokens per second", speed)
    .option("-j, --json", "print them as JSON")
    .action(runs(async () => (await import("./models.ts")).models));

  const jobs = program.command("jobs").description("looks at the jobs of stages where they run");
  addVerb(jobs, "ls", "lists jobs", "jobs ls").action(runs(async () => (await import("./jobs.ts")).list));
  addVerb(jobs, "logs <name>", "prints a job's log, by stage or key", "jobs logs recover --follow")
    .option("-f, --follow", "go on until the job ends")
    .action(runs(async () => (await import("./jobs.ts")).log));
  addVerb(
    jobs,
    "stop <name>",
    "stops a job, by stage or key; its checkpoint stays",
    "jobs stop recover",
  ).action(runs(async () => (await import("./jobs.ts")).stop));
  withExample(jobs, "./pipress jobs ls");

  const store = program.command("store").description("looks at artifacts in a store, and removes them");
  const storeOption = ["--store <url>", "a store (default: the stack's)"] as const;
  addVerb(store, "ls", "lists artifacts and who uses them", "store ls --store s3://bucket/prefix")
    .option(...storeOption)
    .action(runs(async () => (await import("./store.ts")).list));
  addVerb(store, "gc", "removes what no recipe and no stack uses", "store gc --yes")
    .option(...storeOption)
    .option("-y, --yes", "remove it; without this it is only listed")
    .action(runs(async () => (await import("./store.ts")).collect));
  addVerb(store, "rm <key>", "removes an artifact, by the start of its key", "store rm 696dc03e --yes")
    .option(...storeOption)
    .option("-y, --yes", "remove it; without this it is only named")
    .action(runs(async () => (await import("./store.ts")).remove));
  withExample(store, "./pipress store ls");

  addVerb(program, "chat [host]", "talks with the fleet, or with one host", "chat pi-1")
    .option("-j, --json", "read one question from standard input, print answer and figures as JSON")
    .option("-m, --model <name>", "the model that answers, where the fleet serves several")
    .option("-n, --max-tokens <count>", "end an answer after so many tokens", wholeNumber)
    .action(runs(async () => (await import("./chat.ts")).chat));
  addVerb(program, "key", "prints the key that clients send", "key --stack home").action(
    runs(async () => (await import("./chat.ts")).key),
  );
  addVerb(program, "open [host]", "opens the web page, which asks for the key", "open --stack home").action(
    runs(async () => (await import("./open.ts")).open),
  );
  addVerb(program, "ssh <host> [command...]", "opens a shell on a host, or runs a command there", "ssh pi-1")
    .passThroughOptions()
    .action(runs(async () => (await import("./ssh.ts")).ssh));
  addVerb(program, "rollback <host-or-group>", "takes hosts back to the release before", "rollback pi-2")
    .option(...askSudoPasswordOption)
    .action(runs(async () => (await import("./rollback.ts")).rollback));
  addVerb(
    program,
    "measure <host>",
    "runs llama-bench on a host, and predicts by what it finds",
    "measure pi-1",
  )
    .option("--stock", "measure llama.cpp's own kernels too, beside those of the release: twice as long")
    .addOption(
      new Option("--threads <count>", "measure so many threads too, beside the release's own: twice as long")
        .argParser(wholeNumber)
        .conflicts("stock"),
    )
    .option("-y, --yes", "stop llama-server there without asking")
    .option(...askSudoPasswordOption)
    .action(runs(async () => (await import("./measure.ts")).measure));
  addVerb(
    program,
    "metrics <folder>",
    "writes what Prometheus and Grafana need",
    "metrics monitoring",
  ).action(runs(async () => (await import("./metrics.ts")).metrics));

  withExample(program.command("pulumi [args...]"), "./pipress pulumi stack select --create home")
    .description("runs pulumi in the repository's folder; everything behind it is passed on")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(runs(async () => (await import("./pulumi.ts")).pulumi));
  withExample(program.command("env").addOption(stackOption()), 'eval "$(./pipress env)"')
    .description("prints what makes plain `pulumi` work in a shell")
    .action(runs(async () => (await import("./env.ts")).env));
  return program;
}

function several(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** Boards are sold by powers of two: 4GB, 4 GB and 4 GiB are the same. */
function boardMemory(text: string): number {
  const bytes = parseBytes(text.trim().replace(/^(\d+)\s*(?:GB|GiB|G)?$/i, "$1 GiB"));
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new InvalidArgumentError("Write it as 4GB.");
}

function speed(text: string): number {
  const tokensPerSecond = Number(text);
  if (tokensPerSecond > 0) return tokensPerSecond;
  throw new InvalidArgumentError("It is no number above 0.");
}

function wholeNumber(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return count;
  throw new InvalidArgumentError("It is no whole number above 0.");
}
