/**
 * llama-server's web page, built from the pinned source as one HTML file: llama-server asks for the key before it hands out
 * any other file than the page at `/`, and a browser has none to show while it loads scripts and styles.
 */
import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { filesBelow, putInPlace, readJsonIfExists, sha256, sha256OfFile } from "../bootstrap/files.ts";
import { writeAtomically } from "../bootstrap/files.ts";
import { layout } from "../bootstrap/layout.ts";
import { withLock } from "../bootstrap/lock.ts";
import { runTool } from "../bootstrap/process.ts";
import type { TaskContext } from "../bootstrap/task.ts";
import { suits } from "../bootstrap/version.ts";
import { llamaCppPin, llamaCppVersion } from "../llama-cpp/pin.ts";
import { sourcePath } from "../llama-cpp/source.ts";

/** The page as it lies in the cache. */
export interface WebPage {
  path: string;
  /** In hex. */
  sha256: string;
  bytes: number;
  /** What its build took on the machine that built it. */
  seconds: number;
}

/** What upstream's project gets over its own files. */
const ownFiles = join(repoRoot, "toolchain", "web-page", "project");

/** Vite 7 needs it. */
const nodeMinimum = "20.19.0";

const where = "web page";
const pageFile = "index.html";
const recordFile = "page.json";

/** Folder below which pages lie, each by what it is built from. */
export function webPagesDir(cacheDir: string): string {
  return join(cacheDir, "web-page");
}

/** Folder of the page that this checkout builds. */
function pageDir(cacheDir: string): string {
  const inputs = filesBelow(ownFiles).flatMap((file) => [`${basename(file)}\0`, readFileSync(file), "\0"]);
  return join(webPagesDir(cacheDir), sha256(`${llamaCppPin.sha256}\0`, ...inputs).slice(0, 16));
}

/** The page if it has been built. Takes a moment. */
export function builtWebPage(cacheDir: string): WebPage | undefined {
  const dir = pageDir(cacheDir);
  const record = readJsonIfExists(join(dir, recordFile)) as Omit<WebPage, "path"> | undefined;
  return record && { ...record, path: join(dir, pageFile) };
}

/**
 * Builds the page unless it is there. It takes minutes and 700 MB of packages from npm's registry, which are removed again;
 * an interrupted build begins anew.
 *
 * @throws UserError where Node is too old, the registry cannot be reached, or the build fails
 */
export async function ensureWebPage(ctx: TaskContext): Promise<WebPage> {
  const built = builtWebPage(ctx.cacheDir);
  if (built !== undefined) return built;
  if (!suits(process.version, nodeMinimum, { anyMajor: true }))
    throw new UserError({
      where,
      what: `its build needs Node ${nodeMinimum} or later, and this is ${process.version}`,
      remedy: "update Node, or leave `server.ui` out",
    });
  const onWait = () => {
    ctx.progress("is being built by another process; waiting for it");
  };
  return withLock(layout(ctx.cacheDir).lock(where), onWait, async () => {
    return builtWebPage(ctx.cacheDir) ?? build(ctx);
  });
}

async function build(ctx: TaskContext): Promise<WebPage> {
  const started = Date.now();
  const dir = pageDir(ctx.cacheDir);
  const project = `${dir}.project`;
  rmSync(project, { recursive: true, force: true });
  copyProject(sourcePath(ctx.cacheDir), project);
  ctx.progress("installing what it is built with, from npm's registry");
  await installPackages(ctx, project);
  ctx.progress("building");
  const out = `${dir}.part`;
  await runVite(ctx, project, out);
  const page = join(out, pageFile);
  checkIsWhole(page);
  const record = {
    sha256: await sha256OfFile(page),
    bytes: statSync(page).size,
    seconds: Math.round((Date.now() - started) / 1000),
  };
  for (const file of filesBelow(out)) if (file !== page) rmSync(file);
  writeAtomically(join(out, recordFile), JSON.stringify(record));
  putInPlace(out, dir);
  rmSync(project, { recursive: true });
  return { ...record, path: join(dir, pageFile) };
}

/** Upstream's project with our files over it; what they are made from keeps its name behind `upstream.`. */
function copyProject(source: string, project: string): void {
  mkdirSync(dirname(project), { recursive: true });
  cpSync(join(source, "tools", "ui"), project, { recursive: true });
  renameSync(join(project, "svelte.config.js"), join(project, "upstream.svelte.config.js"));
  cpSync(ownFiles, project, { recursive: true });
}

/** Packages by upstream's lock, without running what they would like to run. */
async function installPackages(ctx: TaskContext, project: string): Promise<void> {
  await runTool({
    ...callIn(ctx, project),
    command: "npm",
    args: ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--fetch-retries=1"],
    logFile: logFile(ctx, "install"),
    reason: whyNpmFailed,
    remedy: `see that npm reaches its registry (\`npm ping\`), leave \`server.ui\` out, or bring ${webPagesDir(ctx.cacheDir)} from a machine that has it`,
  });
}

async function runVite(ctx: TaskContext, project: string, out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  const vite = join("node_modules", "vite", "bin", "vite.js");
  await runTool({
    ...callIn(ctx, project),
    command: process.execPath,
    args: [vite, "build", "--config", "one-page.vite.config.js"],
    env: {
      LLAMA_UI_OUT_DIR: out,
      LLAMA_BUILD_NUMBER: llamaCppVersion,
      NODE_ENV: "production",
      NODE_OPTIONS: "",
    },
    logFile: logFile(ctx, "build"),
    remedy: "leave `server.ui` out, or see the log",
  });
}

function callIn({ signal }: TaskContext, project: string) {
  return { where, signal, cwd: project };
}

function logFile({ cacheDir }: TaskContext, step: string): string {
  return join(layout(cacheDir).logs, `web-page-${step}.log`);
}

/** The registry's answer or npm's code, from all lines that it wrote. Exported for tests. */
export function whyNpmFailed(lines: readonly string[]): string {
  const errors = lines.flatMap((line) => /^npm (?:error|ERR!) (.*)/.exec(line)?.[1] ?? []);
  const code = errors.map((line) => /^code (\S+)/.exec(line)?.[1]).find(Boolean);
  const said = errors.find((line) => !/^(code|errno|syscall) /.test(line));
  const isUnreachable = /^(E(CONN|HOST|NET)|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ERR_SOCKET)/.test(code ?? "");
  if (isUnreachable) return `npm's registry cannot be reached (${code ?? ""})`;
  return `npm could not install what it is built with: ${[code, said].filter(Boolean).join(", ") || "no reason given"}`;
}

/** @throws Error where the page would ask for a file beside it, which llama-server does not hand out without a key */
function checkIsWhole(page: string): void {
  // Scripts hold tags as text.
  const tags = readFileSync(page, "utf8").replace(/(<(script|style)\b[^>]*>)[^]*?<\/\2>/g, "$1");
  const beside = /<(script|link)\b[^>]*\b(src|href)="(?!data:)/.exec(tags);
  if (beside !== null) throw new Error(`the web page needs a file beside it: ${beside[0]}`);
}
