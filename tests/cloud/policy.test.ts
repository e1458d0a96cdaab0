/**
 * The policy pack in a preview on the real engine, over a program that makes every mistake; a stand-in serves the package
 * `aws`.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chosenEngine } from "../../toolchain/engine/index.ts";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { makePulumiHome } from "./pulumi-home.ts";

const bin = chosenEngine(cacheDir())?.bin ?? "";

let folder: string;
let env: NodeJS.ProcessEnv;

const broken = `
  import * as aws from "@pulumi/aws";
  new aws.ec2.Instance("forgotten", { ami: "ami-1", instanceType: "g6e.2xlarge", keyName: "me" });
  new aws.ec2.SecurityGroup("open", {
    ingress: [{ protocol: "tcp", fromPort: 22, toPort: 22, cidrBlocks: ["0.0.0.0/0"] }],
  });
  new aws.s3.BucketPublicAccessBlock("public", { bucket: "b", blockPublicAcls: false });
`;

const sound = `
  import { ArtifactBucket } from "${repoRoot}/infra/store/artifact-bucket.ts";
  new ArtifactBucket("artifacts", { bucket: "models", prefix: "pipress", keepRemoved: 86400 });
`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pipress-policy-"));
  const [project, pack, path] = ["project", "pack", "bin"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [project, pack, path, join(folder, "state")]) mkdirSync(directory);
  const write = (directory: string, name: string, content: string) => {
    writeFileSync(join(directory, name), content);
  };
  for (const directory of [project, pack])
    symlinkSync(join(repoRoot, "node_modules"), join(directory, "node_modules"));
  const runtime = { name: "nodejs", options: { typescript: false, nodeargs: "--import tsx/esm" } };
  write(project, "Pulumi.yaml", JSON.stringify({ name: "test", main: "index.ts", runtime }));
  write(project, "package.json", '{ "type": "module" }');
  // The engine that is built from Go modules has no language host for packs: by another runtime's name it starts the SDK's
  // own script. With the vendor's engine it is `runtime: nodejs`, as in infra/policy-pack/PulumiPolicy.yaml.
  write(pack, "PulumiPolicy.yaml", "runtime: shim\n");
  write(pack, "package.json", '{ "name": "pack", "version": "1.0.0", "main": "index.cjs" }');
  write(pack, "index.cjs", `module.exports = require("${repoRoot}/infra/policy-pack/index.cjs");\n`);
  symlinkSync(join(bin, "pulumi-analyzer-policy"), join(path, "pulumi-analyzer-policy-shim"));
  env = {
    PATH: [path, bin, process.env.PATH].join(delimiter),
    PULUMI_HOME: makePulumiHome(join(folder, "home")),
    PULUMI_BACKEND_URL: `file://${folder}/state`,
    PULUMI_CONFIG_PASSPHRASE: "test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
  };
  await execa("pulumi", ["stack", "init", "dev", "--non-interactive"], { cwd: project, env });
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function preview(program: string): Promise<{ exitCode: number | undefined; all: string }> {
  writeFileSync(join(folder, "project", "index.ts"), program);
  const args = ["preview", "--non-interactive", "--color", "never", "--policy-pack", join(folder, "pack")];
  const { exitCode, all } = await execa("pulumi", args, {
    cwd: join(folder, "project"),
    env,
    all: true,
    reject: false,
  });
  return { exitCode, all };
}

describe("a preview under the policy pack", () => {
  it("refuses a program that makes every mistake, and names each", async () => {
    const { exitCode, all } = await preview(broken);
    expect(exitCode, all).not.toBe(0);
    for (const rule of [
      "instance-has-a-time-to-live",
      "instance-has-a-watchdog",
      "on-demand-gpu-needs-consent",
      "imdsv2-only",
      "disks-are-encrypted",
      "no-ssh-key",
      "no-open-ingress",
      "no-public-bucket",
    ])
      expect(all).toContain(rule);
  });

  it("lets this program's own bucket pass", async () => {
    const { exitCode, all } = await preview(sound);
    expect(exitCode, all).toBe(0);
    expect(all).not.toMatch(/mandatory.*violation/);
  });
});
