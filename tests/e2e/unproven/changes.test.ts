import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  artifacts,
  changedNames,
  expectClearError,
  expectStillServing,
  host,
  quick,
  type Outputs,
} from "../scenario.ts";
import { Workspace } from "../workspace.ts";

const workspace = new Workspace();
const config = { recipe: workspace.recipeFile, hosts: [host] };

beforeAll(async () => {
  workspace.recipe(quick);
  workspace.configure(config);
  expect((await workspace.init()).exitCode).toBe(0);
});

afterAll(async () => {
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
});

describe("from a recipe to an answering virtual Pi", () => {
  it("has a host that serves", async () => {
    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
  });

  it("brings the other quantization to the host, and going back runs no stage at all", async () => {
    workspace.recipe({ ...quick, "steps.quantize.type": "Q5_K_M" });
    expect((await workspace.up()).exitCode).toBe(0);
    const before = readdirSync(join(workspace.data, "store", "artifacts")).sort();
    workspace.recipe(quick);
    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    expect(output).toContain("all 13 stages are in the store");
    expect(readdirSync(join(workspace.data, "store", "artifacts")).sort()).toEqual(before);
    await expectStillServing(workspace);
  });

  it("runs exactly the stage again whose artifact was deleted", async () => {
    const before = artifacts(workspace);
    rmSync(join(workspace.data, "store", "artifacts", before.imatrix?.key ?? "none"), { recursive: true });
    expect(changedNames(await workspace.preview())).toEqual(["imatrix"]);
    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    const after = artifacts(workspace);
    const remade = Object.keys(after).filter((name) => after[name]?.createdAt !== before[name]?.createdAt);
    expect(remade).toEqual(["imatrix"]);
    expect(await workspace.preview()).toEqual([]);
  });
});

describe("drift on the host", () => {
  it("shows a unit edited by hand and a model replaced by hand, and the next up puts both right", async () => {
    const unit = "/etc/systemd/system/pipress-llama.service";
    await workspace.onHost("pi-0", `sed -i s/^Restart=.*/Restart=no/ ${unit}`);
    await workspace.onHost("pi-0", "echo junk >> $(readlink -f /var/lib/pipress/current/model.gguf)");
    const refreshed = await workspace.pulumi("refresh", "--yes", "--skip-preview");
    expect(refreshed.exitCode, refreshed.output).toBe(0);
    const steps = await workspace.preview();
    expect(changedNames(steps)).toEqual(["pi-0", "wave-1"]);
    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    expect((await workspace.onHost("pi-0", `grep ^Restart= ${unit}`)).output).not.toContain("Restart=no");
    expect(await workspace.preview("--refresh")).toEqual([]);
    await expectStillServing(workspace);
  });
});

describe("what goes wrong leaves the host serving what it served", () => {
  it("a model that fails the golden prompt is rolled back on the host", async () => {
    workspace.recipe({ ...quick, "golden.expect": "no model says this" });
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expectClearError(output, "pi-0", /golden/i, /serves/i);
    await expectStillServing(workspace);
    workspace.recipe(quick);
  });

  it("a model file whose digest is wrong never becomes the release", async () => {
    const { artifact } = await workspace.outputs<Outputs>();
    const model = join(artifact, "model.gguf");
    const good = readFileSync(model);
    const bad = Buffer.from(good);
    bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
    rmSync(model);
    writeFileSync(model, bad);
    // The host has the good file already: it has to need it again.
    await workspace.onHost("pi-0", "rm -f /var/lib/pipress/store/*.ok");
    await workspace.onHost(
      "pi-0",
      "mv $(readlink -f /var/lib/pipress/current/model.gguf) /var/lib/pipress/aside",
    );
    await workspace.pulumi("refresh", "--yes", "--skip-preview");
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expectClearError(output, "pi-0", /digest|sha-?256/i);
    rmSync(model);
    writeFileSync(model, good);
    const mended = await workspace.up();
    expect(mended.exitCode, mended.output).toBe(0);
    await workspace.onHost("pi-0", "rm -f /var/lib/pipress/aside");
    await expectStillServing(workspace);
  });

  it("a full disk on the host", async () => {
    await workspace.onHost("pi-0", "fallocate -l $(($(df --output=avail -B1 / | tail -1) - 50000000)) /full");
    workspace.recipe({ ...quick, "steps.quantize.type": "Q5_K_M" });
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expectClearError(output, "pi-0", /disk|space/i);
    await workspace.onHost("pi-0", "rm -f /full");
    workspace.recipe(quick);
    await expectStillServing(workspace);
  });

  it("a host with another host key than expected, and a host that does not answer", async () => {
    const { hosts } = await workspace.outputs<{
      hosts: Record<string, { port: number; privateKeyFile: string; hostKey: string }>;
    }>();
    const known = hosts["pi-0"];
    const { stdout: otherKey } = await execa("ssh-keygen", ["-y", "-f", known?.privateKeyFile ?? ""]);
    const real = { address: "127.0.0.1", user: "pi", privateKeyFile: known?.privateKeyFile };
    workspace.configure({
      ...config,
      hosts: [
        host,
        { ...real, name: "impostor", port: known?.port, hostKey: otherKey.split(" ").slice(0, 2).join(" ") },
      ],
    });
    const impostor = await workspace.up();
    expect(impostor.exitCode).not.toBe(0);
    expectClearError(impostor.output, "impostor", /host key/i, /SHA256:/);

    workspace.configure({
      ...config,
      hosts: [host, { ...real, name: "absent", port: 9, hostKey: known?.hostKey }],
    });
    const absent = await workspace.up();
    expect(absent.exitCode).not.toBe(0);
    expectClearError(absent.output, "absent", /refused|unreachable|not reach|does not answer/i);
    workspace.configure(config);
    await expectStillServing(workspace);
  });
});
