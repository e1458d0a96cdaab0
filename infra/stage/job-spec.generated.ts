// Made from models/schemas/spec.schema.json by `npm run generate`; change that instead.

export interface JobSpec {
  /**
   * Which stage.
   */
  stage:
    | "fetch"
    | "fetch-gguf"
    | "fetch-dataset"
    | "add-chats"
    | "prune"
    | "recover"
    | "awq"
    | "convert"
    | "imatrix"
    | "quantize"
    | "baseline"
    | "evaluate"
    | "report"
    | "system-prompt";
  /**
   * Its instance in the plan, shown in progress and errors.
   */
  name: string;
  /**
   * Key of the artifact.
   */
  key: string;
  /**
   * Nonce of this run; ends up in the manifest.
   */
  run: string;
  /**
   * Whether the release waits for it; such a stage goes before those that only measure.
   */
  forRelease?: boolean;
  /**
   * Parts of the recipe that the result is to go through, by their path there: `steps.prune`. No part of the key.
   */
  neededFor?: string[];
  /**
   * Checked against the stage's part of recipe.schema.json.
   */
  params: {
    [k: string]: unknown;
  };
  /**
   * Keys of the upstream artifacts.
   */
  inputs: {
    [k: string]: string;
  };
  /**
   * Where artifacts live: `file:///srv/pipress/store` or `s3://bucket/prefix`.
   */
  store: string;
  /**
   * Folder of the jobs.
   */
  jobs: string;
  /**
   * llama.cpp on this builder.
   */
  tools: {
    /**
     * Folder of llama.cpp's programs.
     */
    llamaCppBin: string;
    /**
     * Path of convert_hf_to_gguf.py.
     */
    convertScript: string;
  };
  /**
   * Pins, for the manifest.
   */
  toolVersions: {
    [k: string]: string;
  };
}
