import { describe, expect, it } from "vitest";
import { digestServed, root, type Fleet, type RunningUp } from "../fleet.ts";

const phases = [
  "the transfer",
  "the time between staging and activation",
  "the activation",
  "the health check",
] as const;
type Phase = (typeof phases)[number];

/** The host on which an `up` is caught in a phase: one of the second wave where the canary has been through already. */
const victimOf = (phase: Phase) => (phase === "the health check" ? "pi-1" : "pi-0");

/**
 * Power is cut, or the controller is killed, at every point of a rollout. Each case goes on with the rollout that the one
 * before left in the middle: it would be much to do all of it anew each time. The last sees that it comes to its end. Any of
 * them runs alone, too: `-t "during the health check|comes to its end"`.
 */
export function interruptions(fleet: Fleet): void {
  let underWay = false;

  /** Starts an `up`, to another release unless there is one under way, and returns when it is in that phase. */
  async function upInto(phase: Phase): Promise<RunningUp> {
    const limited = { rollout: { bandwidth: "2 MB" } };
    if (phase === "the transfer") await fleet.wantOtherModel(limited);
    else if (!underWay) fleet.wantOtherSettings();
    underWay = true;
    const victim = victimOf(phase);
    const before = await fleet.sh(victim, `readlink ${root}/current`);
    const switched = `test "$(readlink ${root}/current)" != "${before}"`;
    const conditions = {
      "the transfer": `find ${root}/store -name "*.part" -size +2000k | grep -q .`,
      "the activation": switched,
      "the health check": `${switched} && curl -sf http://127.0.0.1:8080/health > /dev/null`,
    };
    const up = fleet.startUp();
    if (phase === "the time between staging and activation")
      await up.untilPrinted(/Wave staged (created|updated)/);
    else await up.meanwhile(fleet.until(victim, conditions[phase]));
    return up;
  }

  async function converge(): Promise<void> {
    await fleet.expectConverges();
    underWay = false;
  }

  describe("power is lost", () => {
    it.each(phases)("during %s", async (phase) => {
      const up = await upInto(phase);
      const victim = victimOf(phase);
      await fleet.cutPower(victim);
      // It has power again at once: the `up` may find it back, or have given it up by then.
      await Promise.all([up.ended, fleet.powerOn(victim)]);
      await fleet.expectAllServe();
      if (phase === "the activation" || phase === "the health check")
        expect(await fleet.sh(victim, "systemctl show pipress-settle --property ConditionResult")).toBe(
          "ConditionResult=yes",
        );
    });

    it("and the next up comes to its end", converge);
  });

  describe("the controller is killed", () => {
    it.each(phases)("during %s", async (phase) => {
      const victim = victimOf(phase);
      const before = await fleet.sh(victim, digestServed);
      const up = await upInto(phase);
      await up.kill();
      const after = (await fleet.expectAllServe())[Number(victim.slice(-1))];
      // What the host had begun it has finished by itself; what it had not begun leaves it as it was.
      const begun = phase === "the activation" || phase === "the health check";
      expect(after !== before).toBe(begun);
      await fleet.workspace.cancel();
    });

    it("and the next up comes to its end", converge);
  });
}
