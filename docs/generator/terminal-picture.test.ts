import { expect, test } from "vitest";
import { rolloutLines, terminalPicture } from "./terminal-picture.ts";

const log = [
  " +  pulumi:pulumi:Stack pipress-dev creating (0s)",
  " +  command:local:Command prune creating (2s) prune 10 %",
  " +  pipress:index:VirtualPi pi-0 creating (0s) starting QEMU",
  "@ updating....",
  " +  pipress:index:VirtualPi pi-0 \u001b[32mcreated\u001b[0m (30s)",
  " +  pipress:index:Playbook pi-0 creating (1s) 5 %",
  " +  pipress:index:Playbook pi-0 creating (1s) 5 %",
].join("\n");

test("only lines about hosts are shown, without colours, and none twice in a row", () => {
  expect(rolloutLines(log)).toEqual([
    " +  VirtualPi pi-0 creating (0s) starting QEMU",
    " +  VirtualPi pi-0 created (30s)",
    " +  Playbook pi-0 creating (1s) 5 %",
  ]);
});

test("of many progress lines some are left out, of finished resources none", () => {
  const progress = Array.from(
    { length: 200 },
    (_, second) => ` +  pipress:index:Playbook pi-0 creating (${String(second)}s)`,
  );
  const lines = rolloutLines([...progress, " +  pipress:index:Playbook pi-0 created (200s)"].join("\n"));
  expect(lines.length).toBe(24);
  expect(lines.at(0)).toContain("(0s)");
  expect(lines.at(-1)).toContain("created (200s)");
});

test("the picture escapes what it shows and cuts what is too long", () => {
  const picture = terminalPicture([`a <b> & ${"x".repeat(200)}`], "A rollout");
  expect(picture).toContain("a &lt;b&gt; &amp; xxx");
  expect(picture).toContain("x…</text>");
});
