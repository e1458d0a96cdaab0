import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { buildSeed } from "./seed.ts";

const seed = buildSeed({
  ...{ name: "pi-0", machineId: "0123456789abcdef0123456789abcdef" },
  ...{
    hostPrivateKey: "PRIVATE\n",
    hostPublicKey: "ssh-ed25519 HOST pi-0\n",
    authorizedKey: "ssh-ed25519 USER pi\n",
  },
});
const tar = (...args: string[]) => execFileSync("tar", args, { input: seed, encoding: "utf8" });

test("tar reads the seed: private parts are for their owners only, authorized_keys belongs to pi", () => {
  const listing = tar("--numeric-owner", "-tvf", "-");
  expect(listing).toMatch(/^-rw------- 0\/0 .* etc\/ssh\/ssh_host_ed25519_key$/m);
  expect(listing).toMatch(/^-rw------- 1000\/1000 .* home\/pi\/\.ssh\/authorized_keys$/m);
});

test("files arrive whole", () => {
  expect(tar("-xOf", "-", "home/pi/.ssh/authorized_keys")).toBe("ssh-ed25519 USER pi\n");
  expect(tar("-xOf", "-", "etc/hostname")).toBe("pi-0\n");
});
