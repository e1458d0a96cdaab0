#!/usr/bin/env node
// The front door of `./pipress` and of every npm script: `node cli/run.mjs NAME [ARGS]`. It has no dependencies, so that it
// can run in a fresh clone: it checks Node, installs node modules when they are missing or differ from package-lock.json,
// then loads that name's module through tsx in this same process (no extra process between the terminal and the work, so
// Ctrl-C and exit codes need no forwarding).
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { fileURLToPath } from "node:url";

const MINIMUM_NODE = 20;
const repoRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** `pipress` or an npm script -> module and the arguments that go before the user's own. */
const MODULES = {
  pipress: ["cli/main.ts"],
  start: ["cli/start.ts"],
  bootstrap: ["toolchain/bootstrap/main.ts"],
  lint: ["tests/checks/lint.ts"],
  test: ["tests/checks/test.ts"],
  "test:unit": ["tests/checks/test.ts", "unit"],
  "test:e2e": ["tests/checks/test.ts", "e2e"],
  "test:fleet": ["tests/checks/test.ts", "fleet"],
  "test:cloud": ["tests/checks/test.ts", "cloud"],
  "test:mutation": ["tests/mutation/main.ts"],
  "bench:8b": ["bench/8b/main.ts"],
  "bench:a72": ["bench/a72/main.ts"],
  "bench:compression": ["bench/compression/main.ts"],
  "bench:fleet": ["bench/fleet/main.ts"],
  "bench:recovery-types": ["bench/recovery-types/main.ts"],
  "bench:speculation": ["bench/speculation/main.ts"],
  "bench:store": ["bench/store/main.ts"],
  "bench:up": ["bench/up/main.ts"],
  "bench:speed-model": ["bench/speed-model/main.ts"],
};

/** Whether what npm last installed is what package-lock.json asks for. npm writes its own record last, so an
 * install that was cut short has none. Optional packages of other platforms may be absent. */
function nodeModulesMatchLock() {
  const record = join(repoRoot, "node_modules", ".package-lock.json");
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(readFileSync(join(repoRoot, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === "" ||
      (installed[path] === undefined ? optional === true : installed[path].version === version),
  );
}

/** Runs `command`, its output on stderr; resolves with the exit code. */
function run(command, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: repoRoot, stdio: ["ignore", 2, 2] });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/** `npm ci`, saying every few seconds that it is still at it. */
async function installNodeModules() {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000);
  console.error("node modules: installing what package-lock.json pins");
  const heartbeat = setInterval(() => console.error(`node modules: still installing (${seconds()} s)`), 8000);
  const npm = process.env.npm_execpath?.endsWith(".js")
    ? [process.execPath, [process.env.npm_execpath]]
    : ["npm", []];
  const code = await run(npm[0], [
    ...npm[1],
    "ci",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ]);
  clearInterval(heartbeat);
  if (code !== 0) {
    console.error(
      "node modules: `npm ci --ignore-scripts` failed; see above, then run the same command again",
    );
    process.exit(code);
  }
  console.error(`node modules: installed (${seconds()} s)`);
}

/** Installs when needed, one process at a time: the kernel lets go of flock(1)'s lock however we end. */
async function ensureNodeModules() {
  if (nodeModulesMatchLock()) return;
  mkdirSync(join(repoRoot, ".pipress"), { recursive: true });
  const guarded = [join(repoRoot, ".pipress", "npm.lock"), process.execPath, fileURLToPath(import.meta.url)];
  const code = await run("flock", [...guarded, "--install"]).catch(() => undefined); // undefined: no flock(1) here
  if (code === undefined) await installNodeModules();
  else if (code !== 0) process.exit(code);
}

/**
 * uv, Python's requests and Node come with a list of authorities of their own, which lacks that of a company's proxy. The
 * system's list has it: the tools that run from here take that one, unless the environment names another.
 */
function trustWhatTheSystemTrusts() {
  const bundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
  const bundle = bundles.find((path) => existsSync(path));
  if (bundle === undefined) return;
  for (const variable of ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"])
    process.env[variable] ??= bundle;
}

const [name, ...args] = process.argv.slice(2);
if (Number.parseInt(process.versions.node, 10) < MINIMUM_NODE) {
  console.error(`node: this is ${process.version} — install Node.js ${MINIMUM_NODE} or newer`);
  process.exit(1);
}
if (name === "--install") {
  if (!nodeModulesMatchLock()) await installNodeModules();
  process.exit(0);
}
const target = Object.hasOwn(MODULES, name ?? "") ? MODULES[name] : undefined;
if (target === undefined) {
  console.error(`usage: node cli/run.mjs NAME [ARGS], NAME one of: ${Object.keys(MODULES).join(", ")}`);
  process.exit(2);
}
trustWhatTheSystemTrusts();
await ensureNodeModules();
const { register } = await import("tsx/esm/api");
register();
const { main } = await import(join(repoRoot, target[0]));
const { runMain } = await import("./run-main.ts");
await runMain(main, [...target.slice(1), ...args]);
