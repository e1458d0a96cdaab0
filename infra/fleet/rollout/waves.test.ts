import { describe, expect, it } from "vitest";
import type { Quota } from "../../config/rollout-schema.ts";
import { divideIntoWaves, failuresAllowed, hostsIn, orderHosts, type Division } from "./waves.ts";

function fleet(count: number, labelOf: (index: number) => Record<string, string> = () => ({})) {
  return Array.from({ length: count }, (_, index) => ({ name: `pi-${index}`, labels: labelOf(index) }));
}

function sizes(count: number, division: Partial<Division>): number[] {
  return divideIntoWaves(fleet(count), { canary: { count: 1 }, steps: [], ...division }).map(
    ({ hosts }) => hosts.length,
  );
}

const percent = (...values: number[]): Quota[] => values.map((value) => ({ share: value / 100 }));

describe("divideIntoWaves", () => {
  it("makes the canary and the rest where nothing else is said", () => {
    expect(sizes(3, {})).toEqual([1, 2]);
    expect(sizes(1, {})).toEqual([1]);
    expect(sizes(0, {})).toEqual([]);
  });

  it("counts steps from the start of the fleet, the canary included", () => {
    expect(sizes(100, { steps: percent(10, 50) })).toEqual([1, 9, 40, 50]);
    expect(sizes(300, { canary: { count: 5 }, steps: percent(10, 50) })).toEqual([5, 25, 120, 150]);
  });

  it("takes numbers of hosts for canary and steps alike", () => {
    expect(sizes(10, { canary: { share: 0.2 }, steps: [{ count: 5 }] })).toEqual([2, 3, 5]);
  });

  it("leaves out waves that would add nobody", () => {
    expect(sizes(3, { steps: percent(10, 20, 50) })).toEqual([1, 1, 1]);
    expect(sizes(10, { steps: percent(50, 20, 50) })).toEqual([1, 4, 5]);
    expect(sizes(10, { steps: percent(100) })).toEqual([1, 9]);
    expect(sizes(4, { canary: { count: 0 } })).toEqual([4]);
    expect(sizes(4, { canary: { count: 9 } })).toEqual([4]);
  });

  it("brings every host exactly once, in order, whatever the division", () => {
    for (let count = 0; count <= 60; count += 1)
      for (const steps of [[], percent(1), percent(7, 33.3), percent(33, 66, 99), [{ count: 13 }]]) {
        const waves = divideIntoWaves(fleet(count), { canary: { count: count % 4 }, steps });
        expect(waves.flatMap(({ hosts }) => hosts.map(({ name }) => name))).toEqual(
          fleet(count).map(({ name }) => name),
        );
        expect(waves.every(({ hosts }) => hosts.length > 0)).toBe(true);
        expect(waves.map(({ name }) => name)).toEqual(waves.map((_, index) => `wave-${index + 1}`));
      }
  });

  it("lets a label decide who goes first", () => {
    const hosts = fleet(4, (index) => ({ ring: ["10", "2", "9", "1"][index] ?? "" }));
    const waves = divideIntoWaves(hosts, { canary: { count: 1 }, steps: [], orderBy: "ring" });
    expect(waves.map((wave) => wave.hosts.map(({ name }) => name))).toEqual([
      ["pi-3"],
      ["pi-1", "pi-2", "pi-0"],
    ]);
  });
});

describe("orderHosts", () => {
  it("puts hosts without the label last and leaves equals as they were", () => {
    const rings: (string | undefined)[] = ["z", undefined, "a", undefined, "a"];
    const labels = rings.map((ring): Record<string, string> => (ring === undefined ? {} : { ring }));
    const hosts = fleet(5, (index) => labels[index] ?? {});
    expect(orderHosts(hosts, "ring").map(({ name }) => name)).toEqual([
      "pi-2",
      "pi-4",
      "pi-0",
      "pi-1",
      "pi-3",
    ]);
    expect(orderHosts(hosts, undefined)).toEqual(hosts);
  });
});

describe("quotas", () => {
  it("round shares of hosts up and thresholds down", () => {
    expect(hostsIn({ share: 0.01 }, 50)).toBe(1);
    expect(hostsIn({ share: 0.07 }, 100)).toBe(7);
    expect(hostsIn({ count: 9 }, 4)).toBe(4);
    expect(failuresAllowed({ share: 0.1 }, 19)).toBe(1);
    expect(failuresAllowed({ share: 0.29 }, 100)).toBe(29);
    expect(failuresAllowed({ count: 2 }, 1)).toBe(2);
  });
});
