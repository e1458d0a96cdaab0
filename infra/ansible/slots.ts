/** Lets works run at the same time as long as they take no more slots than there are; the others wait their turn. */
export class Slots {
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  /**
   * Runs `work` as soon as as many slots of `limit` are free as it takes.
   * @param takes at most `limit`
   * @param waits hears that it is not yet its turn
   * @throws the signal's reason when it is aborted before the work's turn comes
   */
  async use<Result>(
    limit: number,
    takes: number,
    signal: AbortSignal,
    work: () => Promise<Result>,
    waits: () => void = () => undefined,
  ): Promise<Result> {
    const isFull = (): boolean => this.#busy + takes > limit;
    if (isFull()) waits();
    while (isFull()) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    signal.throwIfAborted();
    this.#busy += takes;
    try {
      return await work();
    } finally {
      this.#busy -= takes;
      // All, not one: whoever waits may have a limit of its own, or have gone.
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }
}
