import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startSshd, sshdMissing, type TestSshd } from "../ssh/testing/sshd.ts";
import { scanHostKey } from "../ssh/scan.ts";
import { lookAtBoard, parseBoard } from "./board.ts";

it("reads what a board says of itself", () => {
  const output = [
    "hostname raspberrypi",
    "model Raspberry Pi 4 Model B Rev 1.4",
    "memory 3884000",
    "sudo password",
    "controllers cpuset cpu io pids",
  ].join("\n");
  expect(parseBoard(output)).toEqual({
    hostname: "raspberrypi",
    model: "Raspberry Pi 4 Model B Rev 1.4",
    memoryBytes: 3_884_000 * 1024,
    asksForPassword: true,
    countsMemory: false,
  });
  expect(parseBoard("sudo free\ncontrollers cpu memory\nmodel ")).toMatchObject({
    model: "",
    asksForPassword: false,
    countsMemory: true,
  });
});

describe.skipIf(sshdMissing !== undefined)("over a real sshd", () => {
  let sshd: TestSshd;
  beforeAll(async () => {
    sshd = await startSshd();
  });
  afterAll(() => sshd.remove());

  it("scans the host key that it has, and says why where there is none", async () => {
    const { address, port, hostKey } = sshd.host;
    expect(await scanHostKey(address, port)).toBe(hostKey);
    await expect(scanHostKey(address, 1)).rejects.toThrow("127.0.0.1: unreachable");
  });

  it("looks at a machine without changing it", async () => {
    const named = { ...sshd.host, name: sshd.host.address };
    expect((await lookAtBoard(named)).memoryBytes).toBeGreaterThan(2 ** 28);
  });
});
