/** One request of the engine while it runs: its log, and the signal that ends it early. */
import type { Log } from "./engine-log.ts";

export interface Operation {
  log: Log;
  /** Aborts when the engine cancels (Ctrl-C), goes away, or the resource's custom timeout is over. */
  signal: AbortSignal;
}

/** How long a command may take to end by itself after SIGTERM. The engine kills this provider after five seconds. */
export const graceMilliseconds = 3000;

/** Every operation under way, so that they can be cancelled together. */
export class Operations {
  readonly #running = new Map<AbortController, Promise<unknown>>();
  #cancelled = false;

  /**
   * Runs `work`, which is told to stop when `timeoutSeconds` are over (0: no limit).
   * @throws what `work` throws
   */
  async run<T>(timeoutSeconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    if (this.#cancelled) controller.abort(new Error("context canceled"));
    const timer = timeoutSeconds > 0 ? setTimeout(expire, timeoutSeconds * 1000) : undefined;
    function expire() {
      controller.abort(new Error("context deadline exceeded"));
    }
    const result = work(controller.signal);
    this.#running.set(controller, result);
    try {
      return await result;
    } finally {
      clearTimeout(timer);
      this.#running.delete(controller);
    }
  }

  /** Tells every operation to stop, now and from now on; resolves when all have. */
  async cancelAll(): Promise<void> {
    this.#cancelled = true;
    for (const controller of this.#running.keys()) controller.abort(new Error("context canceled"));
    await Promise.allSettled(this.#running.values());
  }
}

/** Sleeps, or throws the signal's reason as soon as it aborts. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    function stop() {
      clearTimeout(timer);
      reject(signal.reason as Error);
    }
    signal.addEventListener("abort", stop, { once: true });
  });
}
