import { formatDuration, formatUsd } from "../../../common/units.ts";
import type { Boot } from "./desk.ts";

/** Boxes that are running right now, and what this stack's boxes have cost so far; empty when none ever ran. */
export function describeBoots(boots: readonly Boot[], now = Date.now() / 1000): string {
  const running = boots
    .filter(({ state }) => state === "running")
    .map((boot) => {
      const hours = now - boot.began;
      const cost = formatUsd((hours / 3600) * boot.usdPerHour);
      return `running now: ${boot.box} box ${boot.instance} (${boot.type}, ${boot.lifecycle}) for ${formatDuration(hours)}, ${cost} so far`;
    });
  if (boots.length === 0) return "";
  const total = boots.reduce((sum, { costUsd }) => sum + costUsd, 0);
  return [...running, `boxes of this stack have cost ${formatUsd(total)} so far`].join("\n");
}
