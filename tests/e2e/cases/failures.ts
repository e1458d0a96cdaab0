import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { config, expectClearError, expectStillServing, host, quick, type Outputs } from "../scenario.ts";
import type { Workspace } from "../workspace.ts";

/** What can go wrong on the way to a host: one clear error each, and the host goes on serving what it served. */
export function failures(workspace: Workspace): void {
  describe("what goes wrong leaves the host serving what it served", () => {
    it("a model that fails the smoke test is rolled back on the host", async () => {
      workspace.recipe({ ...quick, "smokeTest.expect": "no model says this" });
      const { exitCode, output } = await workspace.up();
      expect(exitCode).not.toBe(0);
      expectClearError(output, "pi-0", /smoke test/i, /serves/i);
      await expectStillServing(workspace);
      workspace.recipe(quick);
    });

    it("a model file whose digest is wrong never becomes the release", async () => {
      const { modelPath } = await workspace.outputs<Outputs>();
      const good = readFileSync(modelPath);
      const bad = Buffer.from(good);
      bad[bad.length >> 1] = (bad[bad.length >> 1] ?? 0) ^ 1;
      rmSync(modelPath);
      writeFileSync(modelPath, bad);
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
      rmSync(modelPath);
      writeFileSync(modelPath, good);
      const fixed = await workspace.up();
      expect(fixed.exitCode, fixed.output).toBe(0);
      await workspace.onHost("pi-0", "rm -f /var/lib/pipress/aside");
      await expectStillServing(workspace);
    });

    it("a full disk on the host", async () => {
      await workspace.onHost(
        "pi-0",
        "fallocate -l $(($(df --output=avail -B1 / | tail -1) - 50000000)) /full",
      );
      // A type that the host does not have in its store from an earlier case.
      workspace.recipe({ ...quick, "steps.quantize.type": "Q6_K" });
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
        ...config(workspace),
        hosts: [
          host,
          {
            ...real,
            name: "impostor",
            port: known?.port,
            hostKey: otherKey.split(" ").slice(0, 2).join(" "),
          },
        ],
      });
      const impostor = await workspace.up();
      expect(impostor.exitCode).not.toBe(0);
      expectClearError(impostor.output, "impostor", /host key/i, /SHA256:/);

      workspace.configure({
        ...config(workspace),
        hosts: [host, { ...real, name: "absent", port: 9, hostKey: known?.hostKey }],
      });
      const absent = await workspace.up();
      expect(absent.exitCode).not.toBe(0);
      expectClearError(absent.output, "absent", /refused|unreachable|not reach|does not answer/i);
      workspace.configure(config(workspace));
      await expectStillServing(workspace);
    });
  });
}
