import { realpathSync, statSync } from "node:fs";
import { z } from "zod";
import { readJsonIfExists } from "../bootstrap/files.ts";

/** The engine that was settled on, remembered so that the next run starts no process to find out again. */
const choiceSchema = z.object({
  /** Where it came from. */
  source: z.enum(["PATH", "vendor", "modules"]),
  version: z.string(),
  /** Folder with `pulumi` and, unless from PATH, everything that belongs beside it. */
  bin: z.string(),
  /** Why this one, for people. */
  reason: z.string(),
  /** Fingerprint of the `pulumi` on PATH when the choice was made, null when there was none. */
  candidate: z.string().nullable(),
});

export type EngineChoice = z.infer<typeof choiceSchema>;

/** Changes when another `pulumi` comes to PATH or the one there is replaced. */
export function fingerprint(candidate: string | undefined): string | null {
  if (candidate === undefined) return null;
  const path = realpathSync(candidate);
  const { size, mtimeMs } = statSync(path);
  return [path, size, mtimeMs].join(" ");
}

/** The remembered choice, if there is one that can be read. */
export function readChoice(file: string): EngineChoice | undefined {
  return choiceSchema.safeParse(readJsonIfExists(file)).data;
}
