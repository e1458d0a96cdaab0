// Made from models/schemas/manifest.schema.json by `npm run generate`; change that instead.

export interface Manifest {
  /**
   * Version of this format.
   */
  schema: 1;
  /**
   * Digest of everything that decides what the stage makes.
   */
  key: string;
  /**
   * The stage, e.g. `convert`.
   */
  stage: string;
  /**
   * Its instance in the plan, e.g. `convert-base`.
   */
  name: string;
  /**
   * The one run that made this artifact.
   */
  run: string;
  /**
   * The stage's parameters.
   */
  params: {
    [k: string]: unknown;
  };
  /**
   * Keys of the upstream artifacts, by the name under which the stage knows them.
   */
  inputs: {
    [k: string]: string;
  };
  /**
   * SHA-256 and size of every file, by its path in the artifact.
   */
  files: {
    [k: string]: {
      sha256: string;
      bytes: number;
    };
  };
  /**
   * In a bucket: the folder beside the manifest that holds the files, one per attempt at the artifact.
   */
  attempt?: string;
  /**
   * What the stage measured: flat.
   */
  metrics: {
    [k: string]: number | string | boolean | null;
  };
  /**
   * Pins of the tools it used.
   */
  toolVersions: {
    [k: string]: string;
  };
  /**
   * When it was done, UTC.
   */
  createdAt: string;
  /**
   * Time at work, waiting left out; all attempts of a resumed job together.
   */
  seconds: number;
  /**
   * What it ran on.
   */
  machine?: {
    /**
     * Processor, and accelerator if there is one.
     */
    class: string;
    /**
     * Cores it could use.
     */
    cores: number;
    /**
     * Memory of the machine, bytes.
     */
    memoryBytes: number;
  };
  /**
   * What the builder charged for it, US dollars; 0 where it is one's own.
   */
  costUsd: number;
}
