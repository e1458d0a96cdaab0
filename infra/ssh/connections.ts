import pLimit from "p-limit";
import { Connection } from "./connection.ts";
import type { Machine } from "./machine.ts";

/**
 * Connections that are made at the same time. To agree on keys is work for this machine too: of hundreds at once, none would be
 * ready before ssh gives up waiting.
 */
const opening = pLimit(32);

/**
 * Connections to hosts that outlive one use of them: a rollout plays on each host more than once, and what it takes to
 * agree on keys is what a small board is worst at.
 */
export class Connections {
  /** Those that nobody uses, and what will end each. */
  readonly #idle = new Map<string, { connection: Connection; timer: NodeJS.Timeout }>();

  /** @param keep milliseconds for which a connection waits for its next use */
  constructor(private readonly keep: number) {}

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
    const connection =
      (await this.#kept(key, port)) ?? (await opening(() => Connection.open(host, port, signal)));
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
    const connections = [...this.#idle.keys()].map((key) => this.#take(key));
    await Promise.all(connections.map((connection) => connection?.close()));
  }

  /**
   * The connection that waits for its next use, unless it dropped meanwhile or the host started anew.
   * @throws UserError when the host does not answer any more
   */
  async #kept(key: string, port: number): Promise<Connection | undefined> {
    const connection = this.#take(key);
    let isAlive = false;
    try {
      isAlive = (await connection?.wake(port)) ?? false;
    } finally {
      if (!isAlive) await connection?.close();
    }
    return isAlive ? connection : undefined;
  }

  /** The connection that waits, which then does so no longer. */
  #take(key: string): Connection | undefined {
    const idle = this.#idle.get(key);
    this.#idle.delete(key);
    clearTimeout(idle?.timer);
    return idle?.connection;
  }

  async #keepIdle(key: string, connection: Connection): Promise<void> {
    // Two plays on one host at the same time have two: one is enough to keep.
    if (this.#idle.has(key)) return connection.close();
    connection.rest();
    const timer = setTimeout(() => void this.#take(key)?.close(), this.keep);
    this.#idle.set(key, { connection, timer });
  }
}
