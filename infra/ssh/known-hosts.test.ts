import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findHostKey } from "./known-hosts.ts";

// Real keys: ssh-keygen leaves out lines that are none.
let folder: string;
let file: string;
const keys: Record<string, string> = {};

async function makeKey(name: string, type: string): Promise<void> {
  const path = join(folder, name);
  await execa("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "", "-f", path]);
  const { stdout } = await execa("ssh-keygen", ["-y", "-f", path]);
  keys[name] = stdout.split(" ").slice(0, 2).join(" ");
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pipress-known-"));
  const types = { rsa: "rsa", ecdsa: "ecdsa" };
  const names = ["ed", "other", "wild", "authority", "gone", "hashed"];
  await Promise.all([
    ...Object.entries(types).map(([name, type]) => makeKey(name, type)),
    ...names.map((name) => makeKey(name, "ed25519")),
  ]);
  file = join(folder, "known_hosts");
  writeFileSync(file, `pi-2 ${keys["hashed"]}\n`);
  await execa("ssh-keygen", ["-q", "-H", "-f", file]);
  writeFileSync(
    file,
    `# a comment
pi-1,10.0.0.1 ${keys["rsa"]}
pi-1 ${keys["ecdsa"]} with a comment
pi-1 ${keys["ed"]}
[pi-1]:2222 ${keys["other"]}
*.home ${keys["wild"]}
@cert-authority pi-4 ${keys["authority"]}
@revoked * ${keys["gone"]}
pi-5 ${keys["gone"]}
`,
    { flag: "a" },
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const find = (address: string, port = 22) => findHostKey(address, port, [join(folder, "none"), file]);

test("the best kind of key of a name or address on its port is found", async () => {
  expect(await find("pi-1")).toBe(keys["ed"]);
  expect(await find("PI-1")).toBe(keys["ed"]);
  expect(await find("10.0.0.1")).toBe(keys["rsa"]);
  expect(await find("pi-1", 2222)).toBe(keys["other"]);
  expect(await find("pi-1", 2223)).toBeUndefined();
});

test("a hashed name is found, and one that a pattern fits", async () => {
  expect(await find("pi-2")).toBe(keys["hashed"]);
  expect(await find("a.home")).toBe(keys["wild"]);
});

test("authorities and revoked keys vouch for nobody", async () => {
  for (const name of ["pi-4", "pi-5", "pi-9"]) expect(await find(name)).toBeUndefined();
});
