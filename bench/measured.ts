import { performance } from "node:perf_hooks";
import { peakRssBytes } from "./process-tree.ts";

/** What one command took. */
export interface Measured {
  seconds: number;
  /** Most memory of the command and all its descendants. */
  peakRssBytes: number;
}

/** Measures a command that has just been started. @throws what it printed where it did not end well */
export async function measure(
  command: Promise<{ exitCode?: number; all?: string }> & { pid?: number },
): Promise<Measured> {
  const started = performance.now();
  const peak = await peakRssBytes(command.pid ?? 0, command);
  const { exitCode, all } = await command;
  if (exitCode !== 0) throw new Error(`ended with ${exitCode ?? "a signal"}:\n${all ?? ""}`);
  return { seconds: (performance.now() - started) / 1000, peakRssBytes: peak };
}
