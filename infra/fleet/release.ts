import type { FileDigest } from "../store/manifest.ts";
import type { SmokeTest } from "../recipe/recipe.ts";
import { digestOf } from "../stage/canonical.ts";
import type { ServerFlags } from "./server-flags.ts";

/** How llama-server is started; names follow its flags. */
export interface ServerSettings {
  /** Tokens of context (`--ctx-size`). */
  contextLength: number;
  /** Threads (`--threads`). */
  threads: number;
  /** Requests served at once (`--parallel`). */
  parallel: number;
  port: number;
  /** Tokens per second below which the gate refuses the release. */
  minTokensPerSecond: number;
  /** Type of the KV cache (`--cache-type-k`, `--cache-type-v`); `f16` where it is left out. */
  cacheType?: "f16" | "q8_0";
  /** Further options by their long names. */
  flags?: ServerFlags;
}

/** What a host serves: weights, server and settings under one digest. */
export interface Release {
  digest: string;
  model: FileDigest;
  server: FileDigest;
  settings: ServerSettings;
  golden: SmokeTest;
}

/** Puts a release together; equal parts give an equal digest, wherever they lie on this machine. */
export function makeRelease(parts: Omit<Release, "digest">): Release {
  const content = { ...parts, model: digestAndSize(parts.model), server: digestAndSize(parts.server) };
  return { digest: digestOf(content), ...content };
}

function digestAndSize({ sha256, bytes }: FileDigest): FileDigest {
  return { sha256, bytes };
}
