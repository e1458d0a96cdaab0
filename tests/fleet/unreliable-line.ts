import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A line to a port of this machine that counts what goes over it and can be cut. */
export interface UnreliableLine {
  port: number;
  /** Bytes that went towards the host so far. */
  readonly sent: number;
  /** How often it was cut. */
  readonly cuts: number;
  close(): Promise<void>;
}

/**
 * Opens the line.
 * @param to port at its other end
 * @param cutAt counts of bytes at which all connections break; new ones can be made at once
 * @param near where it is taken up; port 0 is any that is free
 */
export async function openLine(
  to: number,
  cutAt: readonly number[],
  { address, port } = { address: "127.0.0.1", port: 0 },
): Promise<UnreliableLine> {
  const open = new Set<Socket>();
  const waiting = [...cutAt];
  let sent = 0;
  let cuts = 0;
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  const server = createServer((near) => {
    const far = connect(to, "127.0.0.1");
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on("data", (chunk: Buffer) => {
      sent += chunk.length;
      if (sent < (waiting[0] ?? Infinity)) return;
      waiting.shift();
      cuts += 1;
      cut();
    });
    near.pipe(far);
    far.pipe(near);
  });
  await once(server.listen(port, address), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get sent() {
      return sent;
    },
    get cuts() {
      return cuts;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        cut();
      }),
  };
}
