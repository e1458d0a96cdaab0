import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { sha256 } from "../bootstrap/files.ts";
import { sourcePath } from "../llama-cpp/source.ts";
import { builtWebPage, ensureWebPage, whyNpmFailed } from "./index.ts";

let cacheDir: string;
let lines: string[];

beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), "pipress-page-"));
  lines = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cacheDir, { recursive: true });
});

function ensure() {
  const { signal } = new AbortController();
  return ensureWebPage({ cacheDir, signal, progress: (line) => lines.push(line) });
}

/** Writes a file of upstream's project. */
function write(path: string, text: string): void {
  const file = join(sourcePath(cacheDir), "tools", "ui", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** In the place of upstream's: a project whose Vite is a script that writes `page`, so that the real npm needs no registry. */
function writeProject(page: string): void {
  const dependencies = { vite: "file:vite" };
  const packages = { "": { dependencies }, "node_modules/vite": { resolved: "vite", link: true }, vite: {} };
  write("package.json", JSON.stringify({ dependencies }));
  write("package-lock.json", JSON.stringify({ lockfileVersion: 3, packages }));
  write("svelte.config.js", "export default {};");
  write("vite/package.json", JSON.stringify({ name: "vite" }));
  write(
    "vite/bin/vite.js",
    `const { mkdirSync, writeFileSync, readFileSync } = require("node:fs");
     const out = process.env.LLAMA_UI_OUT_DIR;
     readFileSync("upstream.svelte.config.js");
     readFileSync("one-page.html");
     mkdirSync(out);
     writeFileSync(out + "/beside.png", "x");
     writeFileSync(out + "/index.html", ${JSON.stringify(page)} + process.env.LLAMA_BUILD_NUMBER);`,
  );
}

describe("a project that is built by the real npm", () => {
  it("leaves one file, by what it is built from, with size and time", async () => {
    writeProject(`<link href="data:,"><script type="module">'<link href="x.css">'</script><p>page of `);
    expect(builtWebPage(cacheDir)).toBeUndefined();
    const page = await ensure();
    const text = readFileSync(page.path, "utf8");
    expect(text).toMatch(/<p>page of b\d+$/);
    expect(page).toMatchObject({ sha256: sha256(text), bytes: text.length });
    expect(page.seconds).toBeGreaterThanOrEqual(0);
    expect(readdirSync(dirname(page.path)).sort()).toEqual(["index.html", "page.json"]);
    expect(readdirSync(dirname(dirname(page.path)))).toHaveLength(1);
    expect(lines).toEqual(["installing what it is built with, from npm's registry", "building"]);
    expect(await ensure()).toEqual(page);
    expect(lines).toHaveLength(2);
  }, 60_000);

  it("is refused where the page needs a file beside it", async () => {
    writeProject('<script src="./bundle.js"></script>');
    await expect(ensure()).rejects.toThrow(/needs a file beside it: <script src=/);
    expect(builtWebPage(cacheDir)).toBeUndefined();
  }, 60_000);

  it("says that the registry cannot be reached, and what to do", async () => {
    writeProject("<p>");
    const dependencies = { "left-pad": "1.3.0" };
    const lock = {
      lockfileVersion: 3,
      packages: { "": { dependencies }, "node_modules/left-pad": { version: "1.3.0" } },
    };
    write("package.json", JSON.stringify({ dependencies }));
    write("package-lock.json", JSON.stringify(lock));
    vi.stubEnv("npm_config_registry", "http://127.0.0.1:1/");
    vi.stubEnv("npm_config_fetch_retry_mintimeout", "1");
    vi.stubEnv("npm_config_cache", join(cacheDir, "npm"));
    await expect(ensure()).rejects.toThrow(
      /^web page: npm's registry cannot be reached \(ECONNREFUSED\) — see that npm reaches its registry .*web-page-install\.log$/,
    );
    expect(existsSync(join(cacheDir, "logs", "web-page-install.log"))).toBe(true);
  }, 60_000);
});

it("says in npm's own words why packages could not be installed", () => {
  const refused = [
    "npm error code E403",
    "npm error 403 Forbidden - GET left-pad",
    "npm error A log is in /x",
  ];
  expect(whyNpmFailed(refused)).toBe(
    "npm could not install what it is built with: E403, 403 Forbidden - GET left-pad",
  );
  expect(whyNpmFailed(["npm ERR! code ENOTFOUND", "npm ERR! syscall getaddrinfo"])).toBe(
    "npm's registry cannot be reached (ENOTFOUND)",
  );
  expect(whyNpmFailed([])).toBe("npm could not install what it is built with: no reason given");
});
