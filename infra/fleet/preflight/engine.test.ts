import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repoRoot } from "../../../common/paths.ts";
import { makeProject, type TestProject } from "../../provider/testing/engine.ts";
import type { Machine } from "../../ssh/machine.ts";
import { sshdMissing } from "../../ssh/testing/sshd.ts";
import { startHosts, type TestHosts } from "./testing/hosts.ts";

// The real engine, provider, SSH and Ansible. Two stages, which are commands that leave a file each; the long one waits for
// the preflight. The tests build on each other, in order.
const program = `
import * as command from "@pulumi/command";
import { Preflight } from "${repoRoot}/infra/fleet/preflight/preflight.ts";
const { stages, machines, maxFailures = 0 } = JSON.parse(process.env.FLEET ?? "");
const file = { sha256: "0".repeat(64), bytes: 1000 };
const release = { model: file, server: file, memoryMax: 1e8, settings: { port: 8080 } };
const vars = { pipress_release: release, pipress_source: file };
const hosts = machines.map((host) => ({ host, vars, secretVars: {}, unreachable: "fail" }));
const preflight = new Preflight("preflight", { stages, hosts, maxFailures, concurrency: 4 });
const stage = (name, dependsOn) =>
  new command.local.Command(name, { create: \`touch \${import.meta.dirname}/\${name}\` }, { dependsOn });
stage("short", []);
stage("long", [preflight]);
`;
const skipped = sshdMissing ? ` (skipped: ${sshdMissing})` : "";

describe.skipIf(sshdMissing)(`a preflight on the real engine${skipped}`, { timeout: 240_000 }, () => {
  let hosts: TestHosts;
  let project: TestProject;
  const missing = { long: "a".repeat(64) };

  beforeAll(async () => {
    [hosts, project] = await Promise.all([startHosts(), makeProject(program)]);
  }, 120_000);
  afterAll(async () => {
    await Promise.all([hosts.remove(), project.remove()]);
  });

  /** Sets what the program declares. */
  function declare(machines: readonly Machine[], stages: object, maxFailures = 0): void {
    process.env.FLEET = JSON.stringify({ machines, stages, maxFailures });
  }
  const up = () => project.pulumi("up", "--yes", "--skip-preview");
  const ran = (stage: string) => existsSync(join(project.folder, stage));

  it("stops with all errors of all hosts before the long stage starts; the short one runs beside it", async () => {
    declare([hosts.good, hosts.off, hosts.impostor], missing);
    expect(await project.pulumi("preview")).toMatch(/preflight +create/);
    const shown = await project.pulumiFails("up", "--yes", "--skip-preview");
    expect(shown).toMatch(/pi-2: unreachable: nothing listens on 127.0.0.1/);
    expect(shown).toMatch(/pi-3: wrong host key: expected SHA256/);
    expect(shown).toContain("preflight: 2 of 3 hosts are not ready for a release where 0 may be");
    expect(shown).not.toMatch(/^\s+at .*\(.*:\d+:\d+\)/m);
    expect({ long: ran("long"), short: ran("short") }).toEqual({ long: false, short: true });
  });

  it("goes on past as many hosts as may fail, and names them", async () => {
    declare([hosts.good, hosts.off], missing, 1);
    const shown = await up();
    expect(shown).toMatch(/pi-2: unreachable: .*; it will be left behind/);
    expect(ran("long")).toBe(true);
  });

  it("looks again while a stage is missing, and the preview says so", async () => {
    declare([hosts.good], missing);
    expect(await project.pulumi("preview")).toMatch(/preflight +update/);
    expect(await up()).toMatch(/preflight updated/);
  });

  it("touches no host once no stage is missing, also where one is off by then", async () => {
    declare([hosts.off], {});
    await project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes");
  });
});
