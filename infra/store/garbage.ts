import type { StoredItem } from "./store.ts";

/** Leftovers younger than this may belong to an attempt that is at work on some machine. */
const graceMs = 24 * 3_600_000;

/** What uses an artifact: `recipe smollm2-135m`, `stack dev`. */
export type Users = ReadonlyMap<string, readonly string[]>;

/** Something in the store, and why it stays or goes. */
export interface JudgedItem extends StoredItem {
  /** Empty for what nobody uses. */
  usedBy: readonly string[];
  garbage: boolean;
}

/**
 * Which of a store's items nobody needs: artifacts that no recipe and no stack names, and leftovers of attempts that
 * have not been written to for a day.
 */
export function judge(items: readonly StoredItem[], users: Users, now = new Date()): JudgedItem[] {
  return items.map((item) => {
    const usedBy = item.kind === "artifact" ? (users.get(item.key) ?? []) : [];
    const abandoned = now.getTime() - item.changed.getTime() > graceMs;
    return { ...item, usedBy, garbage: item.kind === "artifact" ? usedBy.length === 0 : abandoned };
  });
}

/** Every key that a stack's state names. Whatever the state names is in use: rather keep too much. */
export function keysIn(state: string): string[] {
  return [...new Set(state.match(/\b[0-9a-f]{64}\b/g) ?? [])];
}

/** Adds `user` to the users of each key. */
export function addUser(users: Map<string, string[]>, keys: Iterable<string>, user: string): void {
  for (const key of keys) users.set(key, [...(users.get(key) ?? []), user]);
}
