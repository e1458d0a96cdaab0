import { expect, test } from "vitest";
import { findHostKey } from "./known-hosts.ts";

// Lines as ssh-keyscan and `ssh-keygen -H` write them; the hash is of the name "pi-2".
const text = `
# a comment
pi-1,10.0.0.1 ssh-rsa AAAArsa
pi-1 ssh-ed25519 AAAAed
[pi-1]:2222 ssh-ed25519 AAAAother
*.home ssh-ed25519 AAAAwild
@cert-authority pi-4 ssh-ed25519 AAAAca
@revoked * ssh-ed25519 AAAAgone
pi-5 ssh-ed25519 AAAAgone
|1|MDEyMzQ1Njc4OTAxMjM0NTY3ODk=|tg9pA++z3127xU14AHjyQAZ78Oo= ssh-ed25519 AAAAhashed
`;

test("the best kind of key of a name or address on its port is found", () => {
  expect(findHostKey(text, "pi-1", 22)).toBe("ssh-ed25519 AAAAed");
  expect(findHostKey(text, "10.0.0.1", 22)).toBe("ssh-rsa AAAArsa");
  expect(findHostKey(text, "pi-1", 2222)).toBe("ssh-ed25519 AAAAother");
});

test("a hashed name is found", () => {
  expect(findHostKey(text, "pi-2", 22)).toBe("ssh-ed25519 AAAAhashed");
});

test("wildcards, authorities and revoked keys vouch for nobody", () => {
  for (const name of ["a.home", "pi-4", "pi-5", "pi-9"]) expect(findHostKey(text, name, 22)).toBeUndefined();
});
