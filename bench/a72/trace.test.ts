import { expect, it } from "vitest";
import { assembly, executedAddresses } from "./trace.ts";

it("reads the executed addresses out of QEMU's log, in their order", () => {
  const line = (at: string) => `Trace 0: 0x7f0a4c000100 [00000000/${at}/00100c01/ff020200] multiply\n`;
  const log = `IN: multiply\n${line("0000000000400abc")}${line("0000000000400ac0")}${line("0000000000400abc")}`;
  expect(executedAddresses(log)).toEqual([0x400abc, 0x400ac0, 0x400abc]);
});

it.each([
  ["b.ne\t4007c4 <multiply+0x20>  // b.any", "b.ne\t#8"],
  ["cbz\tw0, 4007f8 <multiply+0x54>", "cbz\tw0, #8"],
  ["adrp\tx1, 4a0000 <table>", "adrp\tx1, #4096"],
  ["smull\tv0.8h, v1.8b, v2.8b", "smull\tv0.8h, v1.8b, v2.8b"],
])("turns objdump's %j into what an assembler reads", (from, to) => {
  expect(assembly(from)).toBe(to);
});
