import { describe, expect, it } from "vitest";

import { OperationLog, type Message } from "./engine-log.ts";

describe("an operation's messages", () => {
  it("arrive in order, and all before the operation is answered", async () => {
    const arrived: string[] = [];
    const log = new OperationLog("urn:it", async ({ message }: Message) => {
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
      arrived.push(message);
    });
    for (const word of ["one", "two", "three"]) log.status(word);
    await log.flushed();
    expect(arrived).toEqual(["one", "two", "three"]);
  });

  it("lose old status lines rather than hold up a command that writes faster than the display reads", async () => {
    const arrived: Message[] = [];
    const log = new OperationLog("urn:it", (message) => {
      arrived.push(message);
      return Promise.resolve();
    });
    log.say("warning", "kept");
    for (let line = 0; line < 10_000; line++) log.status(`line ${line}`);
    await log.flushed();
    expect(arrived.length).toBeLessThan(250);
    expect(arrived.map(({ message }) => message)).toContain("kept");
    expect(arrived.at(-1)?.message).toBe("line 9999");
  });
});
