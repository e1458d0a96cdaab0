import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repoRoot } from "../../../common/paths.ts";
import type { Fleet } from "../fleet.ts";

/** A unit with every line of the service's own but what it runs: what it may do, the service may do. */
const unit = "pipress-intruder.service";

/** What somebody can do who has taken the server over. */
export function sandbox(fleet: Fleet): void {
  describe("an intruder in the service", () => {
    it("cannot write, open a raw socket, read /home or load a kernel module; root outside of it can", async () => {
      const program = readFileSync(join(repoRoot, "tests/fleet/intruder.py")).toString("base64");
      await fleet.sh("pi-0", `echo ${program} | base64 -d > /usr/local/lib/intruder.py`);
      const attempts = JSON.parse(await fleet.sh("pi-0", "python3 /usr/local/lib/intruder.py")) as Attempts;
      // What fails outside as well says nothing about the sandbox.
      expect(attempts).toEqual({
        "write to /": "done",
        "write to /etc": "done",
        "write to /var/lib/pipress": "done",
        "open a raw socket": "done",
        "read /home": "done",
        "load a kernel module": "refused for its content",
      });

      const source = "/etc/systemd/system/pipress-llama.service";
      const rewrite = [
        `sed -e "s|^ExecStart=.*|ExecStart=/usr/bin/python3 /usr/local/lib/intruder.py|"`,
        `-e "s|^Type=.*|Type=oneshot|" -e "/^Restart/d" ${source} > /run/systemd/system/${unit}`,
      ];
      await fleet.sh("pi-0", `${rewrite.join(" ")}; systemctl daemon-reload; systemctl start ${unit}`);
      const output = await fleet.sh(
        "pi-0",
        `journalctl --sync; journalctl -u ${unit} -t python3 -o cat -n 1`,
      );
      await fleet.sh("pi-0", `rm -f /run/systemd/system/${unit}; systemctl daemon-reload`);
      const inside = JSON.parse(output) as Attempts;
      expect(Object.keys(inside)).toEqual(Object.keys(attempts));
      for (const [attempt, outcome] of Object.entries(inside))
        expect(outcome, attempt).toMatch(
          /^(EPERM|EACCES|EROFS|ENOENT|EAFNOSUPPORT|ESOCKTNOSUPPORT|EPROTONOSUPPORT)$/,
        );
    });

    it("is where systemd's own judgement is 2.0 at most", async () => {
      const shown = await fleet.sh("pi-0", "systemd-analyze security pipress-llama.service | tail -n 1");
      const exposure = Number(/Overall exposure level for pipress-llama.service: ([\d.]+)/.exec(shown)?.[1]);
      console.log(`exposure level ${exposure}`);
      expect(exposure).toBeLessThanOrEqual(2.0);
    });
  });
}

/** What came of each attempt: `done`, or the name of the error. */
type Attempts = Record<string, string>;
