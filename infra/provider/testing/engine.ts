import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa, type ResultPromise } from "execa";
import { cacheDir, repoRoot } from "../../../common/paths.ts";

/** A Pulumi project in a folder of its own, on the real engine with a file backend, with our plugins. */
export interface TestProject {
  folder: string;
  /** Starts `pulumi ARGS`, with nobody to ask. */
  start(...args: string[]): ResultPromise<{ all: true; reject: false }>;
  /** Runs `pulumi ARGS`; fails with everything it printed unless it ends as expected. */
  pulumi(...args: string[]): Promise<string>;
  /** The same, for commands that are to fail. */
  pulumiFails(...args: string[]): Promise<string>;
  remove(): Promise<void>;
}

/** @param program text of the program, TypeScript */
export async function makeProject(program: string): Promise<TestProject> {
  const folder = await mkdtemp(join(tmpdir(), "pipress-project-"));
  const write = (name: string, content: string) => writeFile(join(folder, name), content);
  await Promise.all([
    mkdir(join(folder, "state")),
    symlink(join(repoRoot, "node_modules"), join(folder, "node_modules")),
    write("Pulumi.yaml", JSON.stringify(projectFile())),
    write("package.json", '{ "type": "module" }'),
    write("index.ts", program),
  ]);
  const env = {
    PATH: [engineFolder(), process.env.PATH].join(delimiter),
    PULUMI_HOME: join(folder, "home"),
    PULUMI_BACKEND_URL: `file://${folder}/state`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    // As in cli/environment.ts.
    PULUMI_PARALLEL: "256",
    PIPRESS_CACHE: cacheDir(),
    PIPRESS_DATA: join(folder, "data"),
  };
  const start = (...args: string[]) =>
    execa("pulumi", [...args, "--non-interactive", "--color", "never"], {
      cwd: folder,
      env,
      all: true,
      reject: false,
    });
  const run = async (args: string[], succeeds: boolean): Promise<string> => {
    const { exitCode, all: output } = await start(...args);
    if ((exitCode === 0) !== succeeds)
      throw new Error(`pulumi ${args.join(" ")} ended with ${exitCode}:\n${output}`);
    return output;
  };
  await run(["stack", "init", "dev"], true);
  return {
    folder,
    start,
    pulumi: (...args) => run(args, true),
    pulumiFails: (...args) => run(args, false),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function projectFile(): object {
  return {
    name: "test",
    main: "index.ts",
    runtime: { name: "nodejs", options: { typescript: false, nodeargs: "--import tsx/esm" } },
    plugins: {
      providers: [
        { name: "pipress", path: join(repoRoot, "infra", "provider") },
        { name: "command", path: join(repoRoot, "infra", "provider", "command") },
      ],
    },
  };
}

/** The folder of `pulumi`: the engine that bootstrap built, else the one on PATH. */
function engineFolder(): string {
  const built = join(cacheDir(), "engine");
  const versions = existsSync(built) ? readdirSync(built) : [];
  const folders = [
    ...versions.map((version) => join(built, version, "bin")),
    ...(process.env.PATH ?? "").split(delimiter),
  ];
  const folder = folders.find((path) => existsSync(join(path, "pulumi")));
  if (folder === undefined) throw new Error("these tests need the Pulumi engine: run `npm run bootstrap`");
  return folder;
}
