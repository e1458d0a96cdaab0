import { once } from "node:events";
import { connect } from "node:net";
import type { Hop } from "./machine.ts";

const seconds = 10;

/**
 * Opens a TCP connection and closes it again.
 * @returns the code of what went wrong, e.g. `ECONNREFUSED`; undefined where somebody listens
 */
export async function knock({ address, port }: Pick<Hop, "address" | "port">): Promise<string | undefined> {
  const socket = connect({ host: address, port, timeout: seconds * 1000 });
  socket.once("timeout", () => socket.destroy(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" })));
  try {
    await once(socket, "connect");
    return undefined;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  } finally {
    socket.destroy();
  }
}
