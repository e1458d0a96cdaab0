import { setTimeout as sleep } from "node:timers/promises";

/** Spreads what several readers are sent over time, so that together they get no more than a number of bytes a second. */
export class Throttle {
  /** When everything that was let through so far has had its time, in milliseconds. */
  #free = 0;

  constructor(
    private readonly now: () => number = Date.now,
    private readonly wait: (milliseconds: number) => Promise<unknown> = (ms) => sleep(ms),
  ) {}

  /** Resolves when `bytes` may be sent. @param bytesPerSecond undefined for at once */
  async take(bytes: number, bytesPerSecond: number | undefined): Promise<void> {
    if (bytesPerSecond === undefined) return;
    const begins = Math.max(this.now(), this.#free);
    this.#free = begins + (1000 * bytes) / bytesPerSecond;
    const left = begins - this.now();
    if (left > 0) await this.wait(left);
  }
}
