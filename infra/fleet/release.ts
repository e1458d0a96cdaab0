import type { ServerSettings } from "../config/server-settings.ts";
import type { SmokeTest } from "../recipe/recipe.generated.ts";
import { digestOf } from "../stage/canonical.ts";
import type { FileDigest } from "../store/manifest.ts";

/** What a host serves: weights, server and settings under one digest. */
export interface Release {
  digest: string;
  model: FileDigest;
  server: FileDigest;
  settings: ServerSettings;
  /** Memory that the service may take, in bytes. */
  memoryMax: number;
  smokeTest: SmokeTest;
}

/** Puts a release together; equal parts give an equal digest, wherever they lie on this machine. */
export function makeRelease(parts: Omit<Release, "digest">): Release {
  const content = { ...parts, model: digestAndSize(parts.model), server: digestAndSize(parts.server) };
  return { digest: digestOf(content), ...content };
}

function digestAndSize({ sha256, bytes }: FileDigest): FileDigest {
  return { sha256, bytes };
}
