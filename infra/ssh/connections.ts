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
   * Works over a connection through which the host reaches a port of this machine's loopback, and keeps it where the work
   * came to its end.
   * @throws UserError when the host cannot be reached or is the wrong one
   */
  async use<Result>(
    host: PlayHost,
    port: number,
    signal: AbortSignal,
    work: (session: SshSession) => Promise<Result>,
  ): Promise<Result> {
    const key = JSON.stringify(host);
    const session = (await this.#kept(key, port)) ?? (await SshSession.open(host, port, signal));
    try {
      const result = await work(session);
      await this.#keepIdle(key, session);
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

  /**
   * The connection that waits for its next use, unless it dropped meanwhile or the host started anew.
   * @throws UserError when the host does not answer any more
   */
  async #kept(key: string, port: number): Promise<SshSession | undefined> {
    const idle = this.#idle.get(key);
    if (idle === undefined) return undefined;
    this.#idle.delete(key);
    clearTimeout(idle.timer);
    const { session } = idle;
    let isThere = false;
    try {
      isThere = await session.wake(port);
    } finally {
      if (!isThere) await session.close();
    }
    return isThere ? session : undefined;
  }

  async #keepIdle(key: string, session: SshSession): Promise<void> {
    // Two plays on one host at the same time have two: one is enough to keep.
    if (this.#idle.has(key)) return session.close();
    session.rest();
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
