import type { Manifest } from "./manifest.ts";

/** Where artifacts live, by key. Stages write it (Python); this side looks, lists and removes. */
export interface Store {
  /** `file:///…` or `s3://…` */
  readonly url: string;
  /** The manifest under a key, or undefined when no complete artifact is there. */
  manifest(key: string): Promise<Manifest | undefined>;
  /** Where a person finds an artifact. */
  locate(key: string): string;
  /** Folder on this machine that holds an artifact's files, once the job runner has fetched it. */
  localFolder(key: string): string;
  /** Everything that takes room: artifacts, and what attempts that never came to one have left. */
  list(): Promise<StoredItem[]>;
  /** What `list` could not see, in words. */
  readonly unseen: string | undefined;
  /**
   * Tries, before hours of work, that what is made can be stored. Returns what the store lacks, in words; all of it is made up for.
   * @throws UserError when artifacts cannot be written
   */
  probe(): Promise<string[]>;
  /** Removes an item of `list`; its manifest goes first, so that half an artifact never counts as one. */
  remove(item: StoredItem): Promise<void>;
}

/** Something in a store. */
export interface StoredItem {
  /** `leftovers`: files of an attempt that has no manifest, or a multipart upload that was never completed. */
  kind: "artifact" | "leftovers";
  key: string;
  /** Folder of the leftovers, where they have one. */
  folder?: string;
  /** The upload that was never completed, in a bucket. */
  upload?: { name: string; id: string };
  bytes: number;
  /** When it was last written. */
  changed: Date;
}
