/** What the job runner (`python -m pipress stage run`) reads on standard input; `models/schemas/spec.schema.json`. */
export interface JobSpec {
  stage: string;
  name: string;
  key: string;
  run: string;
  params: Record<string, unknown>;
  inputs: Record<string, string>;
  store: string;
  jobs: string;
  tools: { llamaCppBin: string; convertScript: string };
  toolVersions: Record<string, string>;
}

/** The one JSON document that the job runner prints when the artifact is in the store. */
export interface JobResult {
  key: string;
  run: string;
  files: Record<string, { sha256: string; bytes: number }>;
  metrics: Record<string, number | string | boolean | null>;
  seconds: number;
}
