import { describe, expect, it } from "vitest";
import type { Fleet } from "../fleet.ts";

/** The service as its clients and an intruder find it. */
export function service(fleet: Fleet): void {
  describe("the service itself", () => {
    it("is away no longer than it takes to load, and a little", async () => {
      // The canary switches alone: a core of this machine is its own then, as those of a real host are.
      const canary = "pi-0";
      const address = await fleet.addressOf(canary);
      fleet.wantOtherSettings();
      const up = fleet.startUp();
      const gap = await measureGap(`${address}/health`, up.ended);
      const { report } = await fleet.outputs();
      const loading = report.hosts.find(({ host }) => host === canary)?.loadSeconds ?? NaN;
      console.log(`time without service ${gap.toFixed(2)} s, of it ${loading.toFixed(1)} s loading`);
      expect(gap).toBeGreaterThan(0);
      expect(loading).toBeGreaterThan(0);
      await fleet.expectConverges();
    });
  });
}

/** Seconds for which a server did not say that it is ready, while something goes on. */
async function measureGap(url: string, meanwhile: Promise<unknown>): Promise<number> {
  let over = false;
  void meanwhile.then(() => (over = true));
  let gap = 0;
  let goodAt = performance.now();
  while (!over) {
    const good = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    const now = performance.now();
    // One look after the other: what is between two good ones is the time that it takes to look.
    if (good) {
      gap = Math.max(gap, now - goodAt);
      goodAt = now;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return gap / 1000;
}
