/** Lets a limited number of works run at a time; the others wait in order. */
export class Slots {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** Runs `work` when a slot is free; `onWait` is called when none is at once. */
  async use<T>(work: () => Promise<T>, onWait: () => void): Promise<T> {
    if (this.free > 0) {
      this.free -= 1;
    } else {
      onWait();
      await new Promise<void>((resume) => this.waiting.push(resume)); // whoever ends hands its slot over
    }
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free += 1;
      else next();
    }
  }
}
