/** Runs the real Pulumi engine on a small program in a folder of its own, with this provider as its `command` plugin. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { execa, type ResultPromise } from "execa";

import { cacheDir, repoRoot } from "../../../../common/paths.ts";
import { packageVersion } from "../schema.ts";
import { executable } from "./engine-stand-in.ts";

/** The folder with `pulumi` and its Node language host: the one bootstrap built, else the one on PATH. */
function engineFolder(): string | undefined {
  const built = join(cacheDir(), "engine");
  const versions = existsSync(built) ? readdirSync(built) : [];
  const candidates = [
    ...versions.map((version) => join(built, version, "bin")),
    ...(process.env["PATH"] ?? "").split(delimiter),
  ];
  return candidates.find((folder) =>
    ["pulumi", "pulumi-language-nodejs"].every((name) => existsSync(join(folder, name))),
  );
}

const binaries = engineFolder();

/** Why the tests with the real engine cannot run here; undefined when they can. */
export const engineMissing = binaries
  ? undefined
  : "no Pulumi engine; `npm start` or `npm test` puts one in place";

export class RealEngine {
  readonly folder = mkdtempSync(join(tmpdir(), "pipress-engine-"));
  readonly #environment: Record<string, string>;

  /** @param program the text of index.js */
  constructor(program: string) {
    const plugin = join(this.folder, `home/plugins/resource-command-v${packageVersion}`);
    mkdirSync(plugin, { recursive: true });
    mkdirSync(join(this.folder, "state"));
    symlinkSync(executable, join(plugin, "pulumi-resource-command"));
    symlinkSync(join(repoRoot, "node_modules"), join(this.folder, "node_modules"));
    writeFileSync(join(this.folder, "Pulumi.yaml"), "name: try\nruntime: nodejs\n");
    writeFileSync(join(this.folder, "package.json"), '{"name":"try","main":"index.js"}\n');
    writeFileSync(join(this.folder, "index.js"), program);
    this.#environment = {
      PATH: `${binaries}${delimiter}${process.env["PATH"]}`,
      PULUMI_HOME: join(this.folder, "home"),
      PULUMI_BACKEND_URL: `file://${this.folder}/state`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    };
  }

  /** Starts `pulumi ARGS`; `variables` reach the program's environment. Resolves whatever the exit code. */
  pulumi(
    args: string[],
    variables: Record<string, string> = {},
  ): ResultPromise<{ all: true; reject: false }> {
    return execa("pulumi", [...args, "--non-interactive"], {
      cwd: this.folder,
      env: { ...this.#environment, ...variables },
      all: true,
      reject: false,
    });
  }

  /** The resources in the state, by name. */
  state(): Record<string, { id: string; outputs: Record<string, unknown> }> {
    const { deployment } = JSON.parse(this.stateText()) as {
      deployment: { resources: { urn: string; id: string; outputs: Record<string, unknown> }[] };
    };
    return Object.fromEntries(deployment.resources.map((each) => [each.urn.split("::").at(-1) ?? "", each]));
  }

  stateText(): string {
    return execFileSync("pulumi", ["stack", "export", "--stack", "dev"], {
      cwd: this.folder,
      env: { ...process.env, ...this.#environment },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
