import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sha256 } from "../bootstrap/files.ts";
import { ENGINE_VERSION } from "../bootstrap/pins.ts";
import { digestOf, installFromVendor } from "./vendor.ts";

const ARCHIVE = `pulumi-v${ENGINE_VERSION}-linux-${process.arch}.tar.gz`;

/** A loopback stand-in for the vendor's sites; everything from there on is the real thing. */
describe("installFromVendor", () => {
  let folder: string;
  let archive: Buffer;
  let checksums: string;
  let server: Server;
  let asked: string[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "vendor-"));
    mkdirSync(join(folder, "made", "pulumi"), { recursive: true });
    writeFileSync(join(folder, "made", "pulumi", "pulumi"), "#!/bin/sh\necho v3.250.0\n", { mode: 0o755 });
    writeFileSync(join(folder, "made", "pulumi", "pulumi-language-nodejs"), "");
    archive = execFileSync("tar", ["-czf", "-", "-C", join(folder, "made"), "pulumi"]);
    checksums = `${sha256("another")}  pulumi-v${ENGINE_VERSION}-darwin-x64.tar.gz\n${sha256(archive)}  ${ARCHIVE}\n`;
    asked = [];
    server = createServer((request, response) => {
      const range = /bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1];
      asked.push(`${request.url ?? ""}${range === undefined ? "" : ` from ${range}`}`);
      if (request.url?.endsWith("-checksums.txt")) return response.end(checksums);
      if (range === undefined) return response.end(archive);
      response.statusCode = 206;
      response.end(archive.subarray(Number(range)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterEach(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  const target = () => join(folder, "engine");
  const install = (address = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`) =>
    installFromVendor(
      { cacheDir: folder, progress: () => undefined, signal: new AbortController().signal },
      target(),
      { archives: `${address}/sdk`, checksums: `${address}/sums` },
    );

  it("unpacks the archive whose digest is the published one", async () => {
    await install();
    const version = execFileSync(join(target(), "bin", "pulumi"), { encoding: "utf8" });
    expect(version).toBe("v3.250.0\n");
    expect(existsSync(join(target(), "bin", "pulumi-language-nodejs"))).toBe(true);
    expect(asked).toEqual([`/sums/pulumi-${ENGINE_VERSION}-checksums.txt`, `/sdk/${ARCHIVE}`]);
  });

  it("refuses an archive with another digest and leaves nothing that could be taken for an engine", async () => {
    checksums = checksums.replaceAll(sha256(archive), sha256("tampered"));
    await expect(install()).rejects.toThrow(/SHA-256 is [0-9a-f]{64}, expected .*refusing to use it/);
    expect(existsSync(target())).toBe(false);
    expect(existsSync(join(folder, "downloads", ARCHIVE))).toBe(false);
    expect(existsSync(join(folder, "downloads", `${ARCHIVE}.part`))).toBe(false);
  });

  it("goes on with a download that was cut short", async () => {
    mkdirSync(join(folder, "downloads"));
    writeFileSync(join(folder, "downloads", `${ARCHIVE}.part`), archive.subarray(0, 100));
    await install();
    expect(asked).toContain(`/sdk/${ARCHIVE} from 100`);
    expect(readFileSync(join(target(), "bin", "pulumi"), "utf8")).toContain("echo v3.250.0");
  });

  it("does not use an archive that the checksums do not list", async () => {
    checksums = "";
    await expect(install()).rejects.toThrow(`${ARCHIVE} is not in the vendor's checksums`);
  });

  it("says quickly which address cannot be reached", async () => {
    const started = Date.now();
    await expect(install("http://127.0.0.1:1")).rejects.toThrow("http://127.0.0.1:1/sums/");
    expect(Date.now() - started).toBeLessThan(5000);
  });
});

describe("digestOf", () => {
  const digest = sha256("x");

  it("reads both forms that sha256sum writes", () => {
    expect(digestOf("a.tar.gz", `${digest}  a.tar.gz\n`)).toBe(digest);
    expect(digestOf("a.tar.gz", `${digest} *a.tar.gz\n`)).toBe(digest);
  });

  it("does not take another file's digest", () => {
    expect(() => digestOf("a.tar.gz", `${digest}  b-a.tar.gz\n`)).toThrow("not in the vendor's checksums");
  });
});
