import { describe, expect, it } from "vitest";

import { algorithmsFor, fingerprint, parseHostKey } from "./host-key.ts";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

describe("a host key", () => {
  it("is read with or without comment, host name, blank lines and comment lines (ssh.ParseAuthorizedKey)", () => {
    for (const text of [key, `${key} root@pi\n`, `\n# the Pi\npi.local ${key} x`]) {
      expect(parseHostKey(text)).toEqual(parseHostKey(key));
    }
    expect(parseHostKey(key).type).toBe("ssh-ed25519");
    expect(fingerprint(parseHostKey(key).blob)).toMatch(/^ssh-ed25519 SHA256:[\w+/]{43}$/);
  });

  it("that is none is an error", () => {
    for (const text of ["", "ssh-ed25519", "ssh-rsa AAAAC3NzaC1lZDI1NTE5"]) {
      expect(() => parseHostKey(text)).toThrow("failed to parse host key: ssh: no key found");
    }
  });

  it("of type RSA is proven with SHA-2 first", () => {
    expect(algorithmsFor("ssh-rsa")[0]).toBe("rsa-sha2-512");
    expect(algorithmsFor("ssh-ed25519")).toEqual(["ssh-ed25519"]);
  });
});
