/** Lets a limited number of works run at the same time; the others wait their turn. */
export class Slots {
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  /**
   * Runs `work` as soon as fewer than `limit` are at it.
   * @param waits hears that it is not yet its turn
   * @throws the signal's reason when it is aborted before the work's turn comes
   */
  async use<Result>(
    limit: number,
    signal: AbortSignal,
    work: () => Promise<Result>,
    waits: () => void = () => undefined,
  ): Promise<Result> {
    if (this.#busy >= limit) waits();
    while (this.#busy >= limit) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    signal.throwIfAborted();
    this.#busy += 1;
    try {
      return await work();
    } finally {
      this.#busy -= 1;
      // All, not one: whoever waits may have a limit of its own, or have gone.
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }
}
