import { join } from "node:path";
import { z } from "zod";
import { didYouMean } from "../../common/nearest.ts";
import { readYaml } from "../../common/read-yaml.ts";
import { repoRoot } from "../../common/paths.ts";
import { strict } from "../../common/strict.ts";
import { UserError } from "../../common/user-error.ts";
import type { ModelConfig } from "../recipe/recipe.generated.ts";
import { defaultServer, poolings, sources, type ReadyModel } from "./ready-model.ts";

/** The lines of config.json that sizes follow from, as in a recipe's `base.config`. */
const config = strict({
  hidden_size: z.int(),
  intermediate_size: z.int(),
  num_hidden_layers: z.int(),
  num_attention_heads: z.int(),
  num_key_value_heads: z.int(),
  head_dim: z.int().optional(),
  vocab_size: z.int(),
  tie_word_embeddings: z.boolean(),
  max_position_embeddings: z.int(),
});

const entry = strict({
  about: z.string().min(1),
  license: z.string().min(1),
  /** Type of llama-quantize, and size of the file. */
  type: z.string().min(1),
  bytes: z.int(),
  source: strict({ huggingFace: sources.huggingFace.optional(), pypi: sources.pypi.optional() }),
  config,
  /** Of an embedding model. */
  pooling: z.enum(poolings).optional(),
  /** The question of its smoke test, and what a sensible answer matches. */
  prompt: z.string().default("What is the capital of France?"),
  expect: z.string().default("Paris"),
});

const catalogueSchema = strict({
  /** The day on which it was last gone through. */
  date: z.string(),
  models: z.record(z.string().regex(/^[a-z0-9][a-z0-9.-]*$/), entry),
});

/** A well-known model that is ready. */
export type CatalogueEntry = z.infer<typeof entry>;
export type Catalogue = z.infer<typeof catalogueSchema>;

/** Reads `models/catalogue.yaml`. @throws ZodError where it is not what this module says, which a test rules out */
export function readCatalogue(): Catalogue {
  return catalogueSchema.parse(readYaml(join(repoRoot, "models", "catalogue.yaml")));
}

/** @throws UserError where the catalogue has no model of that name */
export function fromCatalogue(name: string, where = "pipress:model"): ReadyModel {
  const { models } = readCatalogue();
  const found = models[name];
  if (found !== undefined) return catalogued(name, found);
  const names = Object.keys(models);
  throw new UserError({
    where,
    what: `the catalogue has no model "${name}"`,
    remedy:
      didYouMean(name, names) ??
      "`./pipress models` lists them; or write the model out: huggingFace, local or pypi",
  });
}

/** One of the catalogue as a stack serves it. */
export function catalogued(name: string, model: CatalogueEntry): ReadyModel {
  const { source, type, bytes, pooling, prompt, expect } = model;
  return {
    name,
    source,
    smokeTest: { prompt, expect, maxTokens: 24 },
    ...(pooling && { pooling }),
    server: { ...defaultServer },
    known: { config: model.config as ModelConfig, type, bytes },
  };
}
