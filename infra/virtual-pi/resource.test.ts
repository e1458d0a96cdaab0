import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { VirtualPiMachine } from "./machine.ts";
import { virtualPiResource } from "./resource.ts";

const inputs = {
  name: "pi-x",
  memoryMiB: 1024,
  cpus: 2,
  diskGiB: 4,
  imageDigest: "0".repeat(64),
  forwards: { http: 8080 },
};
const record = { ...inputs, hostKey: "ssh-ed25519 AAAA", sshPort: 22022, ports: { http: 18080 } };
let data: string;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), "pipress-virtual-"));
  vi.stubEnv("PIPRESS_DATA", data);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(data, { recursive: true });
});

const changes = async () =>
  (await virtualPiResource.diff?.({ id: "pi-x", inputs, state: { ...record, running: true } }, inputs))
    ?.changes;

test("a machine whose folder is gone is made anew", async () => {
  expect(await changes()).toEqual({ running: { kind: "delete", input: false, replace: true } });
});

test("a machine that has stopped is started in place", async () => {
  const { folder } = new VirtualPiMachine("pi-x");
  await mkdir(folder.path, { recursive: true });
  await writeFile(folder.record, JSON.stringify(record));
  expect(await changes()).toEqual({ running: { kind: "delete", input: false, replace: false } });
});
