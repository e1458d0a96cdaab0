import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import type { ServerSettings } from "../config/server-settings.ts";
import type { SystemPrompt } from "../config/system-prompts.ts";
import type { Model } from "../model/model.ts";
import type { Pooling } from "../model/ready-model.ts";
import type { SmokeTest } from "../recipe/recipe.generated.ts";
import { digestOf } from "../stage/canonical.ts";
import type { JobResult } from "../stage/job.ts";
import type { FileDigest } from "../store/manifest.ts";

/** What a host serves: weights, server, settings, unit and health check under one digest. */
export interface Release {
  digest: string;
  /** What clients see at /v1/models: the recipe's name. */
  name: string;
  model: FileDigest;
  server: FileDigest;
  settings: Omit<ServerSettings, "systemPrompt">;
  /** The web page; left out where there is none. */
  page?: FileDigest;
  /** System prompts with their KV states, in the order of their settings; left out where there are none. */
  systemPrompts?: readonly SystemPromptState[];
  /** What llama-server may keep of earlier prompts (`--cache-ram`), in MiB; left out for nothing. */
  cacheRamMiB?: number;
  /** Memory that the service may take, in bytes. */
  memoryMax: number;
  /** Of a model that chats; the other of one that embeds. */
  smokeTest?: SmokeTest;
  embedding?: EmbeddingTest;
  /** Digest of what unit and health check are rendered from, beside the above. */
  unit: string;
}

/** What a host asks of an embedding model: the vector that the builder's llama-server gave a text. */
export interface EmbeddingTest {
  pooling: Pooling;
  prompt: string;
  /** Numbers with spaces between them. */
  vector: string;
}

/** How a model that was fetched, or made, is put to the test on a host. */
export function testOf(
  { smokeTest }: Pick<Model, "smokeTest">,
  { metrics: { pooling, vector } }: Pick<JobResult, "metrics">,
): Pick<Release, "smokeTest" | "embedding"> {
  if (pooling === undefined) return { smokeTest };
  return {
    embedding: { pooling: pooling as Pooling, prompt: smokeTest.prompt, vector: String(vector) },
  };
}

/** A system prompt as a host gets it. */
export interface SystemPromptState extends SystemPrompt, FileDigest {
  /** Tokens that the model has read. */
  tokens: number;
}

/**
 * Files of the repository from which unit and health check are rendered. What differs from host to host besides goes into
 * the name of the release's folder there (`ansible/roles/server/vars/main.yml`).
 */
const rendered = [
  "group_vars/all/server-arguments.yml",
  "roles/server/defaults/main.yml",
  "roles/server/templates/pipress-llama.service.j2",
];

/** Puts a release together; equal parts give an equal digest, wherever they lie on this machine. */
export function makeRelease(parts: Omit<Release, "digest" | "unit">, unit = unitDigest()): Release {
  const files = {
    model: digestAndSize(parts.model),
    server: digestAndSize(parts.server),
    settings: withoutSystemPrompts(parts.settings),
    ...(parts.page && { page: digestAndSize(parts.page) }),
  };
  const content = { ...parts, ...files, unit };
  return { digest: digestOf(content), ...content };
}

/** Settings without what a release has as states. */
export function withoutSystemPrompts(settings: ServerSettings): Omit<ServerSettings, "systemPrompt"> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => name !== "systemPrompt")) as Omit<
    ServerSettings,
    "systemPrompt"
  >;
}

function unitDigest(): string {
  return digestOf(rendered.map((file) => readFileSync(join(repoRoot, "ansible", file), "utf8")));
}

function digestAndSize({ sha256, bytes }: FileDigest): FileDigest {
  return { sha256, bytes };
}
