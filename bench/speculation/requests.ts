import { join } from "node:path";
import { z } from "zod";
import { readYaml } from "../../common/read-yaml.ts";
import { repoRoot } from "../../common/paths.ts";
import { strict } from "../../common/strict.ts";

/** What is asked, and the answer of a model that does it. */
const request = strict({ prompt: z.string().min(1), answer: z.string().min(1) });

export const kinds = ["copying", "json", "summarising", "free text"] as const;

export type Request = z.infer<typeof request>;
export type Kind = (typeof kinds)[number];

const requests = z.record(z.enum(kinds), z.array(request));

/** The requests of each kind. @throws ZodError where the file is not what this module says */
export function readRequests(): Record<Kind, Request[]> {
  return requests.parse(readYaml(join(repoRoot, "bench", "speculation", "requests.yaml")));
}
