import { describe, expect, it } from "vitest";
import { root, type Fleet, type RunningUp } from "../fleet.ts";

const phases = [
  "the transfer",
  "the time between staging and activation",
  "the activation",
  "the gate",
] as const;
type Phase = (typeof phases)[number];

/** Starts an `up` to another release and returns when it is in that phase on the canary. */
async function upInto(phase: Phase, fleet: Fleet): Promise<RunningUp> {
  if (phase === "the transfer") {
    await fleet.wantOtherModel({ rollout: { bandwidth: "2 MB" } });
    const up = fleet.startUp();
    await up.meanwhile(fleet.until("pi-0", `find ${root}/store -name "*.part" -size +2000k | grep -q .`));
    return up;
  }
  const before = await fleet.sh("pi-0", `readlink ${root}/current`);
  fleet.wantOtherSettings();
  const up = fleet.startUp();
  const switched = `test "$(readlink ${root}/current)" != "${before}"`;
  if (phase === "the time between staging and activation") await up.says(/Wave staged (created|updated)/);
  else if (phase === "the activation") await up.meanwhile(fleet.until("pi-0", switched));
  else
    await up.meanwhile(
      fleet.until("pi-0", `${switched} && curl -sf http://127.0.0.1:8080/health > /dev/null`),
    );
  return up;
}

/** Power is cut, or the controller is killed, at every point of a rollout. */
export function interruptions(fleet: Fleet): void {
  describe("power and connections are lost", () => {
    it.each(phases)("the canary loses power during %s", async (phase) => {
      const up = await upInto(phase, fleet);
      await fleet.cutPower("pi-0");
      // It has power again at once: the `up` may find it back, or have given it up by then.
      await Promise.all([up.ended, fleet.powerOn("pi-0")]);
      await fleet.expectAllServe();
      if (phase === "the activation" || phase === "the gate")
        expect(await fleet.sh("pi-0", "systemctl show pipress-settle --property ConditionResult")).toBe(
          "ConditionResult=yes",
        );
      await fleet.expectConverges();
    });

    it.each(phases)("the controller is killed during %s", async (phase) => {
      const before = await fleet.sh("pi-0", `readlink ${root}/current`);
      const up = await upInto(phase, fleet);
      await up.kill();
      const [canary] = await fleet.expectAllServe();
      // What the host had begun it has finished by itself; what it had not begun it serves on.
      const begun = phase === "the activation" || phase === "the gate";
      expect(`releases/${canary}` !== before).toBe(begun);
      await fleet.workspace.cancel();
      await fleet.expectConverges();
    });
  });
}
