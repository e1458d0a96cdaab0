import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { artifacts, type Outputs } from "../scenario.ts";
import type { Workspace } from "../workspace.ts";

/** What `pulumi destroy` leaves. */
export function destruction(workspace: Workspace): void {
  describe("destroy", () => {
    it("leaves no process, port or VM behind, and keeps the artifacts", async () => {
      const { baseUrl } = await workspace.outputs<Outputs>();
      const kept = artifacts(workspace);
      const { exitCode, output } = await workspace.pulumi("destroy", "--yes", "--skip-preview");
      expect(exitCode, output).toBe(0);
      const { stdout: processes } = await execa("ps", ["-eo", "args"]);
      expect(processes.split("\n").filter((line) => line.includes(basename(workspace.dir)))).toEqual([]);
      await expect(connectTo(Number(new URL(baseUrl).port))).rejects.toThrow("ECONNREFUSED");
      expect(readdirSync(join(workspace.data, "hosts"))).toEqual([]);
      expect(artifacts(workspace)).toEqual(kept);
    });
  });
}

function connectTo(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", reject);
  });
}
