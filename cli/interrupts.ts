/**
 * Ctrl-C of a verb that ends by itself once it is told to. The listener stays: without one, what runs child processes ends
 * this process at once.
 */
export class Interrupts {
  #current = new AbortController();

  constructor() {
    process.on("SIGINT", () => {
      this.#current.abort();
    });
  }

  /** A signal that the next Ctrl-C aborts, and that no earlier one has. */
  next(): AbortSignal {
    this.#current = new AbortController();
    return this.#current.signal;
  }
}
