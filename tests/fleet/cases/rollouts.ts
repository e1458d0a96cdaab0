import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { repoRoot } from "../../../common/paths.ts";
import { expectClearError } from "../../e2e/scenario.ts";
import { digestServed, names, root, type Fleet } from "../fleet.ts";

/** Rollouts with which nothing interferes. */
export function rollouts(fleet: Fleet): void {
  describe("a rollout over three hosts", () => {
    // The rollout itself is how the fleet begins.
    it("brings a release to all of them, and a second up changes nothing", async () => {
      const { report } = await fleet.outputs();
      expect(await fleet.expectAllServe()).toEqual(names.map(() => report.release));
      const again = await fleet.workspace.up("--expect-no-changes");
      expect(again.exitCode, again.output).toBe(0);
    });

    it("moves no model for a change of settings", async () => {
      const stored = () => fleet.sh("pi-1", `stat -c %n:%i:%Y ${root}/store/*`);
      const before = await stored();
      fleet.wantOtherSettings();
      await fleet.expectConverges();
      expect(await stored()).toBe(before);
    });

    it("stops a release that fails its health check at the canary; all three serve the old one", async () => {
      const before = await fleet.expectAllServe();
      fleet.configure({ recipe: { "smokeTest.expect": "^no model says this$" } });
      const { exitCode, output } = await fleet.workspace.up();
      expect(exitCode).not.toBe(0);
      expectClearError(output, /wave-1: 1 of 1 host failed/, /smoke test/, /pi-1, pi-2 were not touched/);
      expect(await fleet.expectAllServe()).toEqual(before);
      fleet.configure();
      await fleet.expectConverges();
    });

    it("goes back by hand and forward again", async () => {
      const [before] = await fleet.expectAllServe();
      fleet.wantOtherSettings();
      await fleet.expectConverges();
      const { workspace } = fleet;
      const rollback = await execa(
        join(repoRoot, "pipress"),
        ["rollback", "pi-2", "--config-file", workspace.configFile],
        { env: workspace.env, reject: false, all: true },
      );
      expect(rollback.exitCode, rollback.all).toBe(0);
      expect(await fleet.sh("pi-2", digestServed)).toBe(before);
      await workspace.pulumi("refresh", "--yes", "--skip-preview");
      await fleet.expectConverges();
    });
  });
}
