import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { UserError } from "../../common/user-error.ts";

/**
 * Reads the endpoint's certificate and key, and sees that clients can be served with them.
 * @throws UserError where the file cannot be read, lacks one of the two, or holds a pair that does not fit or has expired
 */
export function readCertificate(file: string, now = new Date()): string {
  const refuse = (what: string, remedy: string): never => {
    throw new UserError({ where: "pipress:endpoint.certificate", what: `${file} ${what}`, remedy });
  };
  const both = "put the certificate, its chain and the key into one file, in PEM";
  let text = "";
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    refuse(`cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`, both);
  }
  const parse = <Value>(what: string, read: () => Value): Value => {
    try {
      return read();
    } catch {
      return refuse(`holds no ${what} that can be read`, both);
    }
  };
  // The first certificate is the server's own; what follows is its chain.
  const certificate = parse("certificate", () => new X509Certificate(text));
  const key = parse("private key without a passphrase", () => createPrivateKey(text));
  if (!certificate.checkPrivateKey(key))
    refuse("holds a key that is not the first certificate's", "put the server's own certificate first");
  if (new Date(certificate.validTo) < now)
    refuse(`expired on ${certificate.validTo}`, "have it renewed, and run `up` again");
  return text;
}
