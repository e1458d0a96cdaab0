import { execa } from "execa";
import { describe, expect, it, onTestFinished } from "vitest";
import { expectClearError } from "../../e2e/scenario.ts";
import { root, type Fleet } from "../fleet.ts";

/** What else can go wrong on the way to a host. */
export function mishaps(fleet: Fleet): void {
  describe("what else goes wrong", () => {
    // Hosts fetch as root, who may use the blocks that are kept for it when there are no others.
    const free = { forAnybody: "%a", forRoot: "%f" };
    const fill = (blocks: string, but: number) =>
      `fallocate -l $(($(stat -f -c "${blocks} * %S" /) - ${but})) /full`;
    const empty = async () => void (await fleet.sh("pi-0", "rm -f /full"));

    /** An `up` that fails with these words and leaves everybody serving; after `fix` the next one converges. */
    async function failsThenConverges(words: RegExp[], fix: () => unknown): Promise<void> {
      const { exitCode, output } = await fleet.workspace.up();
      expect(exitCode).not.toBe(0);
      expectClearError(output, ...words);
      await fleet.expectAllServe();
      await fix();
      await fleet.expectConverges();
    }

    it("a full disk on the canary", async () => {
      await fleet.wantOtherModel();
      onTestFinished(empty);
      await fleet.sh("pi-0", fill(free.forAnybody, 50_000_000));
      await failsThenConverges([/pi-0/, /MB of disk are free, but the release needs/], empty);
    });

    it("a disk that fills up during the transfer", async () => {
      await fleet.wantOtherModel({ rollout: { bandwidth: "2 MB" } });
      const up = fleet.startUp();
      onTestFinished(empty);
      const arriving = `find ${root}/store -name "*.part" -size +1000k | grep -q .`;
      // What arrives meanwhile may make the last blocks of this impossible: the disk is as full as it shall be.
      const nearlyFull = `{ ${fill(free.forRoot, 2_000_000)} || true; }`;
      await up.meanwhile(fleet.until("pi-0", `${arriving} && ${nearlyFull}`));
      const { exitCode, output } = await up.ended;
      expect(exitCode).not.toBe(0);
      expectClearError(output, /pi-0/, /the disk filled up while the model was fetched/);
      await fleet.expectAllServe();
      await empty();
      await fleet.expectConverges();
    });

    it("a disk that is full to the last byte", async () => {
      fleet.wantOtherSettings();
      onTestFinished(empty);
      await fleet.sh("pi-0", "cat /dev/zero > /full || true");
      // Not even a connection has room there.
      await failsThenConverges([/pi-0/, /the host answers, but has no room/], empty);
    });

    it("a flipped byte in the model that a host has stored", async () => {
      const model = await fleet.sh("pi-1", `readlink -f ${root}/current/model.gguf`);
      await fleet.sh(
        "pi-1",
        `chmod u+w ${model}; printf X | dd of=${model} bs=1 seek=1000000 conv=notrunc status=none`,
      );
      const refreshed = await fleet.workspace.pulumi("refresh", "--yes", "--skip-preview");
      expect(refreshed.exitCode, refreshed.output).toBe(0);
      const planned = (await fleet.workspace.preview()).map(({ name }) => name);
      expect(planned).toContain("pi-1");
      expect(planned).not.toContain("pi-0");
      await fleet.expectConverges();
    });

    it("a wrong host key", async () => {
      const { port, privateKeyFile } = (await fleet.outputs()).hosts["pi-0"] ?? {
        port: 0,
        privateKeyFile: "",
      };
      const { stdout } = await execa("ssh-keygen", ["-y", "-f", privateKeyFile]);
      const hostKey = stdout.split(" ").slice(0, 2).join(" ");
      fleet.configure({
        hosts: [{ name: "impostor", address: "127.0.0.1", port, privateKeyFile, hostKey }],
      });
      await failsThenConverges([/impostor/, /wrong host key/, /SHA256:/], () => {
        fleet.configure();
      });
    });

    it("two ups at once", async () => {
      fleet.wantOtherSettings();
      const both = await Promise.all([fleet.workspace.up(), fleet.workspace.up()]);
      expect(both.map(({ exitCode }) => exitCode === 0).sort()).toEqual([false, true]);
      expect(both.find(({ exitCode }) => exitCode !== 0)?.output).toMatch(/lock/i);
      await fleet.expectConverges();
    });

    it("a clock that is wrong by a year", async () => {
      const fix = async () => void (await fleet.sh("pi-0", `date -s @${Math.round(Date.now() / 1000)}`));
      onTestFinished(fix);
      await fleet.sh("pi-0", 'date -s "1 year ago"');
      fleet.wantOtherSettings();
      await failsThenConverges([/pi-0/, /the clock is 36[56] days behind/], fix);
    });
  });
}
