import { Connection } from "./connection.ts";
import type { Machine } from "./machine.ts";

/** A connection that nobody uses, and what will end it. */
interface Idle {
  connection: Connection;
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
    host: Machine,
    port: number,
    signal: AbortSignal,
    work: (connection: Connection) => Promise<Result>,
  ): Promise<Result> {
    const key = JSON.stringify(host);
    const connection = (await this.#kept(key, port)) ?? (await Connection.open(host, port, signal));
    try {
      const result = await work(connection);
      await this.#keepIdle(key, connection);
      return result;
    } catch (error) {
      await connection.close();
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
  async #kept(key: string, port: number): Promise<Connection | undefined> {
    const idle = this.#idle.get(key);
    if (idle === undefined) return undefined;
    this.#idle.delete(key);
    clearTimeout(idle.timer);
    const { connection } = idle;
    let isAlive = false;
    try {
      isAlive = await connection.wake(port);
    } finally {
      if (!isAlive) await connection.close();
    }
    return isAlive ? connection : undefined;
  }

  async #keepIdle(key: string, connection: Connection): Promise<void> {
    // Two plays on one host at the same time have two: one is enough to keep.
    if (this.#idle.has(key)) return connection.close();
    connection.rest();
    const timer = setTimeout(() => {
      this.#idle.delete(key);
      void connection.close();
    }, this.#keep);
    this.#idle.set(key, { connection, timer });
  }
}

async function end({ connection, timer }: Idle): Promise<void> {
  clearTimeout(timer);
  await connection.close();
}
