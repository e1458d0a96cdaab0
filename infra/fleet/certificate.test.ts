import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCertificate } from "./certificate.ts";

const folder = mkdtempSync(join(tmpdir(), "pipress-certificate-"));
const path = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(path(name), "utf8");

beforeAll(async () => {
  for (const name of ["one", "other"]) {
    const args = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", `/CN=${name}`, "-days", "10"];
    await execa("openssl", [...args, "-keyout", path(`${name}.key`), "-out", path(`${name}.crt`)]);
  }
  const locked = [
    "rsa",
    "-aes128",
    "-passout",
    "pass:secret",
    "-in",
    path("one.key"),
    "-out",
    path("locked"),
  ];
  await execa("openssl", locked);
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function refusal(content: string, now?: Date): string {
  writeFileSync(path("both.pem"), content);
  try {
    readCertificate(path("both.pem"), now);
  } catch (error) {
    return (error as Error).message.replace(folder, "");
  }
  return "";
}

test("certificate and key in one file are taken as they are, in any order and with a chain", () => {
  expect(refusal(read("one.crt") + read("other.crt") + read("one.key"))).toBe("");
  expect(refusal(read("one.key") + read("one.crt"))).toBe("");
});

test("what clients could not be served with is refused by its path, each with its own reason", () => {
  const where = "pipress:endpoint.certificate: /both.pem";
  expect(refusal("")).toContain(`${where} holds no certificate that can be read — put the certificate`);
  expect(refusal(read("one.crt"))).toContain(`${where} holds no private key without a passphrase`);
  expect(refusal(read("one.crt") + read("locked"))).toContain("no private key without a passphrase");
  expect(refusal(read("other.crt") + read("one.crt") + read("one.key"))).toContain(
    "holds a key that is not the first certificate's — put the server's own certificate first",
  );
  const later = new Date(Date.now() + 11 * 24 * 3_600_000);
  expect(refusal(read("one.crt") + read("one.key"), later)).toMatch(/expired on .* — have it renewed/);
  expect(() => readCertificate(path("nothing"))).toThrow("nothing cannot be read (ENOENT)");
});
