/** Two network namespaces with a cable between them; at its far end is a card with the hardware address of a Raspberry Pi. */
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";

const name = `pipress-${process.pid}`;
const [here, there] = [`${name}-a`, `${name}-b`];
const ip = (...args: string[]) => execa("ip", args);

const mayMake = await ip("netns", "add", here).then(
  () => true,
  () => false,
);

describe.skipIf(!mayMake)(`a network${mayMake ? "" : " (skipped: no right to make one)"}`, () => {
  beforeAll(async () => {
    await ip("netns", "add", there);
    const cable = ["link", "add", "cable", "netns", here, "type", "veth"];
    await ip(...cable, "peer", "name", "cable", "address", "dc:a6:32:00:00:07", "netns", there);
    for (const [namespace, address] of [
      [here, "10.77.0.1/24"],
      [there, "10.77.0.7/24"],
    ] as const) {
      await ip("-n", namespace, "address", "add", address, "dev", "cable");
      await ip("-n", namespace, "link", "set", "cable", "up");
    }
  });
  afterAll(async () => {
    for (const namespace of [here, there]) await ip("netns", "delete", namespace);
  });

  it("shows the Raspberry Pi that nobody here has spoken with yet", { timeout: 30_000 }, async () => {
    const code = `import("./infra/ssh/neighbours.ts").then(async ({ findPis }) => console.log(JSON.stringify(await findPis())))`;
    const node = [process.execPath, "--import", "tsx", "--eval", code];
    const { stdout } = await execa("ip", ["netns", "exec", here, ...node], { cwd: repoRoot });
    expect(JSON.parse(stdout)).toEqual([{ address: "10.77.0.7" }]);
  });
});
