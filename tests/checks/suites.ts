import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";
import { environment } from "../../cli/environment.ts";
import { ensureOpenWebUi } from "../fleet/open-webui/install.ts";
import { sum, tallyJUnit, tallyVitest, type Tally } from "./tally.ts";

/** TypeScript unit tests: the files beside the code. */
export function runVitestUnits(): Promise<Tally> {
  return runVitest([], {});
}

/** The end-to-end run: real engine, real virtual Pi. */
export function runVitestEndToEnd(): Promise<Tally> {
  return runVitest(["--config", "tests/e2e/vitest.config.ts"], environment("dev"));
}

/** Rollouts over several hosts: sshd instances on loopback, and three virtual Pis. */
export function runVitestFleet(): Promise<Tally> {
  return runVitest(["--config", "tests/fleet/vitest.config.ts"], environment("dev"));
}

/** The playbook on a host that is a namespace of this machine, killed at every step that there is; Open WebUI as a client. */
export async function runPytestFleet(): Promise<Tally> {
  return runPytest(["tests/fleet"], { PIPRESS_IT: "1", PIPRESS_OPEN_WEBUI: await ensureOpenWebUi() });
}

/** Stages on machines that are not this one: real engine, real sshd, real S3 server, and AWS by stand-ins. */
export function runVitestCloud(): Promise<Tally> {
  return runVitest(["--config", "tests/cloud/vitest.config.ts"], { ...environment("dev"), PIPRESS_IT: "1" });
}

/** Instances that boot and end in every way there is; `npm test` boots them in those that take seconds. */
export function runPytestCloud(): Promise<Tally> {
  return runPytest(["models/pipress/cloud"], { PIPRESS_IT: "1" });
}

/** Python unit tests: the files beside the code. Ansible changes what Python itself does, which PyTorch does not bear. */
export async function runPytestUnits(): Promise<Tally> {
  const models = await runPytestOnAllCores("models", "toolchain");
  return sum([models, await runPytestOnAllCores("ansible")]);
}

function runPytestOnAllCores(...folders: string[]): Promise<Tally> {
  // What a file makes for its tests is made once.
  const workers = ["--numprocesses=auto", "--dist=loadfile"];
  // Workers share the cores; threads that wait leave theirs to others.
  return runPytest([...workers, ...folders], { OMP_WAIT_POLICY: "PASSIVE" });
}

function runPytest(what: readonly string[], env: Record<string, string>): Promise<Tally> {
  const { python } = pythonEnvironment(cacheDir());
  return withReport("pytest.xml", tallyJUnit, async (report) => {
    const args = [
      "-m",
      "pytest",
      "-q",
      "-p",
      "no:cacheprovider",
      "--import-mode=importlib",
      `--junitxml=${report}`,
    ];
    await run(python, [...args, ...what], {
      PYTHONPATH: join(repoRoot, "models"),
      PYTHONDONTWRITEBYTECODE: "",
      ...env,
    });
  });
}

function runVitest(args: readonly string[], env: Record<string, string>): Promise<Tally> {
  return withReport("vitest.json", tallyVitest, async (report) => {
    const vitest = join(repoRoot, "node_modules", ".bin", "vitest");
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
    await run(vitest, ["run", ...args, ...reporters], env);
  });
}

/** Runs a suite that writes a report, and reads that. A suite that writes none counts as one failure. */
async function withReport(
  name: string,
  read: (text: string) => Tally,
  suite: (report: string) => Promise<void>,
): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), "pipress-test-"));
  try {
    const report = join(folder, name);
    await suite(report);
    return existsSync(report) ? read(readFileSync(report, "utf8")) : { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Output goes to this terminal; what failed is in the report. */
async function run(command: string, args: readonly string[], env: Record<string, string>): Promise<void> {
  await execa(command, args, { cwd: repoRoot, env, stdio: ["ignore", "inherit", "inherit"], reject: false });
}
