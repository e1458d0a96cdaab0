import { describe, expect, it } from "vitest";
import { changedNames, expectStillServing } from "../scenario.ts";
import type { Workspace } from "../workspace.ts";

/** What somebody changed by hand on the host. */
export function drift(workspace: Workspace): void {
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
}
