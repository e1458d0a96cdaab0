import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { HostConfig } from "../config/hosts.ts";
import { settings } from "../config/testing/settings.ts";
import { addMeasured, boardSpeeds, measuredFile } from "./measured-file.ts";
import { measuredRow } from "./testing/rows.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pipress-measured-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const machine = { name: "pi-1", address: "127.0.0.1", port: 1, user: "pi", hostKey: "ssh-ed25519 AAAA" };
const real = { name: "pi-1", machine, ...settings } as HostConfig;
const emulated = { name: "pi-1", virtual: {}, ...settings } as unknown as HostConfig;

it("has the last row of a host decide, and keeps those before", () => {
  addMeasured("home", measuredRow, folder);
  const file = join(folder, measuredFile("home"));
  writeFileSync(file, readFileSync(file, "utf8").trimEnd()); // as an editor may leave it
  addMeasured("home", { ...measuredRow, generation: 0.8 }, folder);
  expect(readFileSync(file, "utf8").split("\n")).toHaveLength(4);
  const { boards, warnings } = boardSpeeds("home", [real], folder);
  expect(boards.generation(measuredRow.weights).tokensPerSecond).toBe(0.8);
  expect(warnings).toEqual([]);
});

it("predicts for a stack without a file", () => {
  const { boards } = boardSpeeds("home", [real], folder);
  expect(boards.generation(measuredRow.weights).basis).toEqual({ kind: "predicted" });
});

it("warns of a row that is not used", () => {
  addMeasured("home", { ...measuredRow, throttled: 5 }, folder);
  const { boards, warnings } = boardSpeeds("home", [real], folder);
  expect(boards.generation(measuredRow.weights).basis).toEqual({ kind: "predicted" });
  expect(warnings).toEqual([
    "a row is not used: pi-1, Llama 3.1 8B Q4_K_M 2026-11-29T12:00:00Z: the firmware throttled the board (get_throttled 0x5)",
  ]);
});

it("never predicts by an emulated host", () => {
  addMeasured("home", measuredRow, folder);
  expect(boardSpeeds("home", [emulated], folder).boards.generation(measuredRow.weights).basis).toEqual({
    kind: "predicted",
  });
});
