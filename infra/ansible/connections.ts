import type { PlayHost } from "./host.ts";
import { SshSession } from "./ssh-session.ts";

/** A connection that nobody uses, and what will end it. */
interface Idle {
  session: SshSession;
  timer: NodeJS.Timeout;
}

/**
 * Connections to hosts that outlive one use of them: a rollout plays on each host more than once, and what it takes to
 * agree on keys is what a small board is worst at.
 */
export class Connections {
  readonly #keep: number;
  readonly #idle = new Map<string, Idle>();

  /** @param keep milliseconds for which a connection waits for its next use */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /**
   * Works over a connection to the host, and keeps it where the work came to its end.
   * @throws UserError when the host cannot be reached or is the wrong one
   */
  async use<Result>(
    host: PlayHost,
    signal: AbortSignal,
    work: (session: SshSession) => Promise<Result>,
  ): Promise<Result> {
    const key = JSON.stringify(host);
    const session = (await this.#take(key)) ?? (await SshSession.open(host, signal));
    try {
      const result = await work(session);
      await session.rest();
      await this.#put(key, session);
      return result;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** Ends all that wait. */
  async close(): Promise<void> {
    const waiting = [...this.#idle.values()];
    this.#idle.clear();
    await Promise.all(waiting.map((idle) => end(idle)));
  }

  /** @throws UserError when the host does not answer any more */
  async #take(key: string): Promise<SshSession | undefined> {
    const idle = this.#idle.get(key);
    if (idle === undefined) return undefined;
    this.#idle.delete(key);
    clearTimeout(idle.timer);
    try {
      if (await idle.session.wake()) return idle.session;
    } catch (error) {
      await idle.session.close();
      throw error;
    }
    await idle.session.close();
    return undefined;
  }

  async #put(key: string, session: SshSession): Promise<void> {
    // Two plays on one host at the same time have two: one is enough to keep.
    if (this.#idle.has(key)) return session.close();
    const timer = setTimeout(() => {
      this.#idle.delete(key);
      void session.close();
    }, this.#keep);
    this.#idle.set(key, { session, timer });
  }
}

async function end({ session, timer }: Idle): Promise<void> {
  clearTimeout(timer);
  await session.close();
}
