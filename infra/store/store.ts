import type { Manifest } from "../artifact/manifest.ts";

/** Where artifacts live, by key. Stages write it (Python); this side only looks. */
export interface Store {
  /** `file:///…` */
  readonly url: string;
  /** The manifest under a key, or undefined when no complete artifact is there. */
  manifest(key: string): Promise<Manifest | undefined>;
  /** Where a person finds an artifact. */
  locate(key: string): string;
}
