import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import type { HostConfig } from "../config/hosts.ts";
import { speedsOf, type BoardSpeeds } from "./board-speeds.ts";
import { formatRow, measuredHead, parseRows, usableRows, type MeasuredRow } from "./measured-rows.ts";

/** Name of the file that `./pipress measure` adds rows to, beside the stack's configuration. */
export function measuredFile(stack: string): string {
  return `Pulumi.${stack}.measured.csv`;
}

/**
 * How fast the boards of a stack are, by what was measured on them.
 * @param stack its short name, e.g. `home`
 * @returns the speeds, and a warning for each row that says nothing about them
 * @throws UserError with every line that is no row
 */
export function boardSpeeds(
  stack: string,
  fleet: readonly HostConfig[],
  folder = repoRoot,
): { boards: BoardSpeeds; warnings: string[] } {
  const name = measuredFile(stack);
  const file = join(folder, name);
  const rows = existsSync(file) ? parseRows(readFileSync(file, "utf8"), name) : [];
  // What an emulated Pi does says nothing, whatever the file says.
  const real = fleet.filter((host) => "machine" in host);
  const hosts = real.map(({ name, server }) => ({ name, threads: server.threads }));
  const { usable, passedOver } = usableRows(rows, hosts);
  const warnings = passedOver.map((why) => `a row is not used: ${why}`);
  return { boards: speedsOf(usable), warnings };
}

/** Adds a row to a stack's file. */
export function addMeasured(stack: string, row: MeasuredRow, folder = repoRoot): void {
  const file = join(folder, measuredFile(stack));
  const isNew = !existsSync(file);
  const endsWithin = !isNew && !readFileSync(file, "utf8").endsWith("\n"); // left so by an editor
  appendFileSync(file, (isNew ? measuredHead : endsWithin ? "\n" : "") + formatRow(row));
}
