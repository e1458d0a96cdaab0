import { isDeepStrictEqual } from "node:util";

/** A member that is ready, and where the outcome of its work goes. */
interface Ready<Member, Result> {
  member: Member;
  resolve: (result: Result) => void;
  reject: (reason: unknown) => void;
}

/** Members whose work can be done in one go. */
interface Batch<Task, Member, Result> {
  task: Task;
  signal: AbortSignal;
  /** How many are expected and not yet ready. */
  expected: number;
  ready: Ready<Member, Result>[];
  timer?: NodeJS.Timeout;
}

/** An expected member, which either joins or leaves. */
export interface BatchEntry<Member, Result> {
  /** The member is ready. Resolves with its result when the work is done. */
  join(member: Member): Promise<Result>;
  /** The batch no longer waits for it. No effect after `join`. */
  leave(): void;
}

/** How long a batch waits, in milliseconds, and for how many. */
export interface Patience {
  /** For another to be expected, once every expected member is ready: the engine begins with one host after the other. */
  more: number;
  /** For an expected member to become ready. */
  ready: number;
  /** So many ready members wait for nobody. */
  enough: number;
}

/**
 * Collects what begins at about the same time into batches. The work of a batch begins when every expected member is ready
 * and no other is expected for a moment, when no other has become ready for a while, or when enough are; members that are late
 * make the next batch.
 */
export class Batches<Task, Member extends { name: string }, Result> {
  #batches: Batch<Task, Member, Result>[] = [];

  /** @param work of one batch; what it throws fails all members */
  constructor(
    private readonly work: (
      members: readonly Member[],
      task: Task,
      signal: AbortSignal,
    ) => Promise<ReadonlyMap<Member, Result>>,
    private readonly patience: Patience,
  ) {}

  /**
   * @param task what has to be equal for members to work together
   * @param signal what cancels the work: members that others cancel are in different batches
   */
  expect(task: Task, signal: AbortSignal): BatchEntry<Member, Result> {
    const open = this.#batches.find((other) => isDeepStrictEqual(other.task, task) && other.signal === signal);
    const batch: Batch<Task, Member, Result> = open ?? { task, signal, expected: 0, ready: [] };
    if (open === undefined) this.#batches.push(batch);
    batch.expected += 1;
    this.#wait(batch);
    let settled = false;
    const leave = (): void => {
      if (settled) return;
      settled = true;
      this.#settled(batch);
    };
    return {
      join: (member) =>
        new Promise((resolve, reject) => {
          // Two members of one name would be one in an inventory.
          if (batch.ready.some((other) => other.member.name === member.name)) this.#begin(batch);
          batch.ready.push({ member, resolve, reject });
          leave();
        }),
      leave,
    };
  }

  #settled(batch: Batch<Task, Member, Result>): void {
    batch.expected -= 1;
    this.#wait(batch);
  }

  /** Begins when nobody else has come for as long as there is reason to wait. */
  #wait(batch: Batch<Task, Member, Result>): void {
    clearTimeout(batch.timer);
    const { more, ready, enough } = this.patience;
    if (batch.ready.length >= enough) this.#begin(batch);
    else if (batch.ready.length > 0)
      batch.timer = setTimeout(
        () => {
          this.#begin(batch);
        },
        batch.expected === 0 ? more : ready,
      );
    else if (batch.expected === 0) this.#forget(batch);
  }

  #forget(batch: Batch<Task, Member, Result>): void {
    this.#batches = this.#batches.filter((other) => other !== batch);
  }

  #begin(batch: Batch<Task, Member, Result>): void {
    clearTimeout(batch.timer);
    if (batch.expected === 0) this.#forget(batch);
    // By name: who connected first is chance, and the log is named after the first.
    const ready = batch.ready.splice(0).sort((a, b) => a.member.name.localeCompare(b.member.name));
    if (ready.length === 0) return;
    this.work(ready.map(({ member }) => member), batch.task, batch.signal).then(
      (results) => {
        for (const { member, resolve } of ready) resolve(results.get(member) as Result);
      },
      (error: unknown) => {
        for (const { reject } of ready) reject(error);
      },
    );
  }
}
