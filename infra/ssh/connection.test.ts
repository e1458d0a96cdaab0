import { createServer, type AddressInfo, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Connection } from "./connection.ts";
import { Session } from "./session.ts";
import { dropbearMissing, startDropbear } from "./testing/dropbear.ts";
import { sshdMissing, startSshd, type TestSshd } from "./testing/sshd.ts";

/** Says on standard output what whoever listens on a Unix socket greets with. */
const read = (socket: string) =>
  `python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("${socket}"); print(s.recv(99).decode())'`;

describe.skipIf(sshdMissing)("a connection that others share", { timeout: 60_000 }, () => {
  let target: TestSshd;
  let gate: TestSshd;
  let content: Server;
  let port: number;

  beforeAll(async () => {
    [target, gate] = await Promise.all([startSshd("pi-0"), startSshd("gate")]);
    content = createServer((socket) => socket.end("the content"));
    await new Promise<void>((resolve) => content.listen(0, "127.0.0.1", resolve));
    ({ port } = content.address() as AddressInfo);
  });
  afterAll(async () => {
    content.close();
    await Promise.all([target.remove(), gate.remove()]);
  });

  it("lets the host reach a port of this machine, also over a bastion, and leaves nothing on the host", async () => {
    const { address, port: gatePort, user, hostKey, privateKeyFile } = gate.host;
    const bastion = { address, port: gatePort, user, hostKey, privateKeyFile };
    const connection = await Connection.open({ ...target.host, bastion }, port);
    const { contentSocket } = connection;
    const run = (command: string) => Session.use(target.host, (session) => session.run(command));
    expect(await run(read(contentSocket))).toMatchObject({ stdout: "the content" });
    await connection.close();
    const folder = contentSocket.slice(0, contentSocket.lastIndexOf("/"));
    expect(await run(`test -e ${folder}`)).toMatchObject({ kind: "ended", code: 1 });
  });

  it("is not made where the bastion does not answer, which is said of the bastion", async () => {
    const bastion = { ...target.host, port: 1 };
    await expect(Connection.open({ ...target.host, bastion }, port)).rejects.toThrow(
      /^pi-0 \/ bastion: unreachable: nothing listens on 127\.0\.0\.1:1 —/,
    );
  });
});

it.skipIf(dropbearMissing)("is refused by dropbear, which is named", { timeout: 60_000 }, async () => {
  const dropbear = await startDropbear("diet");
  await expect(Connection.open(dropbear.host, 1)).rejects.toThrow(
    /^diet: its SSH server is dropbear, which forwards no Unix socket — install OpenSSH's/,
  );
  await dropbear.remove();
});
