import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { explainFailure } from "./failure.ts";
import type { Machine } from "./machine.ts";
import { hostKey } from "./testing/host-key.ts";
import { hintAtUserConfig } from "./user-config.ts";

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-config-"));
  file = join(folder, "config");
  await writeFile(
    file,
    `Host kitchen
  HostName 192.168.1.7
  User me
  Port 2222
  ProxyJump gate
Host *.local
  User pi
  IdentityFile ~/.ssh/pi
`,
  );
});
afterAll(() => rm(folder, { recursive: true }));

const machine = (address: string): Machine => ({ name: "pi-0", address, port: 22, user: "pi", hostKey });

async function hinted(address: string, own: string) {
  return hintAtUserConfig(explainFailure(machine(address), { own }), file);
}

test("an alias is told, with what it stands for; a rollout does not take it for a host that is off", async () => {
  const failure = await hinted("kitchen", "ENOTFOUND");
  expect(failure.message).toBe(
    "pi-0: kitchen is an alias of ssh's own configuration on this machine, which is not read — write what it " +
      "stands for: user: me, address: 192.168.1.7, port: 2222, bastion: { address: gate, … }",
  );
  expect(failure.isPermanent).toBe(true);
});

test("what ssh would have done otherwise is told, and only that", async () => {
  const refused = await hinted("pi-1.local", "pi@pi-1.local: Permission denied (publickey).");
  expect(refused.message).toMatch(
    /; ssh's own configuration, which is not read, has for pi-1\.local: privateKeyFile: ~\/\.ssh\/pi$/,
  );
  expect((await hinted("pi-1.local", "ENOTFOUND")).isPermanent).toBe(false);
});

test("an address that ssh's own configuration does not know is left alone", async () => {
  const failure = explainFailure(machine("attic"), { own: "ENOTFOUND" });
  expect(await hintAtUserConfig(failure, file)).toBe(failure);
});
