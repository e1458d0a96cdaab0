import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { sshGreets } from "./ssh.ts";

async function withServer(greeting: string, use: (port: number) => Promise<void>) {
  const server = createServer((socket) => socket.write(greeting));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

test("a server that introduces itself as SSH greets", async () => {
  await withServer("SSH-2.0-OpenSSH_10.0\r\n", async (port) => {
    expect(await sshGreets(port)).toBe(true);
  });
});

test("a port that accepts but stays silent, as QEMU's does while the machine boots, does not greet", async () => {
  await withServer("", async (port) => {
    expect(await sshGreets(port, 50)).toBe(false);
  });
});

test("a closed port does not greet", async () => {
  let closed = 0;
  await withServer("", (port) => {
    closed = port;
    return Promise.resolve();
  });
  expect(await sshGreets(closed)).toBe(false);
});
