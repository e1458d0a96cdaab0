import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { config, expectClearError, host } from "../scenario.ts";
import type { Workspace } from "../workspace.ts";

/** What a user may write wrongly. */
export function configuration(workspace: Workspace): void {
  describe("an illegal configuration", () => {
    it("is refused at preview, every problem by its path, before anything is touched", async () => {
      workspace.configure({
        ...config(workspace),
        hosts: [{ ...host, virtual: { memroy: "2 GiB" } }],
        sevrer: {},
      });
      const { exitCode, output } = await workspace.pulumi("preview");
      workspace.configure(config(workspace));
      expect(exitCode).not.toBe(0);
      expectClearError(
        output,
        'pipress:hosts[0].virtual.memroy: unknown key; did you mean "memory"?',
        'pipress:sevrer: unknown key; did you mean "server"?',
      );
      expect(readdirSync(workspace.data)).not.toContain("hosts");
    });
  });
}
