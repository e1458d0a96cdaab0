import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import getPort from "get-port";
import { afterEach, describe, expect, it } from "vitest";
import { waitUntilServing } from "./wait-until-serving.ts";

const limits = { loading: 1_500, refused: 400, interval: 20 };
const servers: Server[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));

/** A host whose /health gives these statuses in turn, the last for ever. */
async function listen(port: number, ...statuses: number[]): Promise<{ host: string; baseUrl: string }> {
  const server = createServer((request, response) => {
    response.writeHead(
      request.url === "/health" ? ((statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 0) : 404,
    );
    response.end();
  }).listen(port, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const { port: taken } = server.address() as AddressInfo;
  return { host: "pi-0", baseUrl: `http://127.0.0.1:${taken}/v1` };
}

describe("waitUntilServing", () => {
  it("says nothing of hosts that serve", async () => {
    const notes: string[] = [];
    expect(await waitUntilServing([await listen(0, 200)], (line) => notes.push(line), limits)).toEqual([]);
    expect(notes).toEqual([]);
  });

  it("waits for a board that has just booted: first nothing listens, then the model loads", async () => {
    const port = await getPort();
    const notes: string[] = [];
    const host = { host: "pi-0", baseUrl: `http://127.0.0.1:${port}/v1` };
    const waits = waitUntilServing([host], (line) => notes.push(line), limits);
    await expect.poll(() => notes).toHaveLength(1);
    await listen(port, 503, 503, 503, 200);
    expect(await waits).toEqual([]);
    const words = (state: string) =>
      `pi-0: waiting until it serves (http://127.0.0.1:${port}/health: ${state})`;
    expect(notes).toEqual([words("refused"), words("status 503")]);
  });

  it("tells of a server that goes on loading, and of a port that nobody listens on", async () => {
    const hosts = [await listen(0, 503), { host: "pi-1", baseUrl: `http://127.0.0.1:${await getPort()}/v1` }];
    const problems = await waitUntilServing(hosts, () => undefined, limits);
    expect(problems.map(({ where, what }) => `${where} ${what}`)).toEqual([
      expect.stringMatching(/^pi-0 does not serve: .*\/health says status 503 after/),
      expect.stringMatching(/^pi-1 does not serve: .*\/health says refused after/),
    ]);
  });

  it("asks no host again whose failure has been reported, and only notes what cannot be asked from here", async () => {
    const notes: string[] = [];
    const down = { host: "pi-1", baseUrl: "http://127.0.0.1:1/v1", problem: "skipped: unreachable" };
    const hidden = { host: "pi-2", baseUrl: "http://pi-2.invalid:8080/v1" };
    expect(await waitUntilServing([down, hidden], (line) => notes.push(line), limits)).toEqual([]);
    expect(notes).toEqual(["pi-2: http://pi-2.invalid:8080/health cannot be asked from this machine"]);
  });
});
