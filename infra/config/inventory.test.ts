import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { readInventory } from "./inventory.ts";
import { hostKey } from "../ssh/testing/host-key.ts";

// The real ansible-inventory.
const { ansiblePlaybook } = readToolchain();
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-inventory-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("an INI inventory with group variables becomes hosts", async () => {
  const file = join(folder, "hosts.ini");
  const key = `pipress_host_key="${hostKey}"`;
  await writeFile(
    file,
    `[pis]\npi-1 ansible_host=10.0.0.1 ${key}\npi-2 ${key} ansible_user=admin\n[pis:vars]\nansible_user=ubuntu\n`,
  );
  const hosts = await readInventory(file, [], ansiblePlaybook);
  expect(hosts.map(({ host }) => host)).toEqual([
    { name: "pi-1", group: "pis", address: "10.0.0.1", user: "ubuntu", hostKey },
    { name: "pi-2", group: "pis", address: "pi-2", user: "admin", hostKey },
  ]);
}, 60_000);

test("a file that Ansible cannot read whole is an error, and so is one that is not there", async () => {
  const file = join(folder, "broken.yml");
  await writeFile(file, "all:\n  hosts: [this: is, no: inventory");
  await expect(readInventory(file, [], ansiblePlaybook)).rejects.toThrow(
    /pipress:inventory: Ansible cannot read .*broken/,
  );
  await expect(readInventory("no/such.ini", [], ansiblePlaybook)).rejects.toThrow(
    /there is no file .*no\/such/,
  );
}, 60_000);
