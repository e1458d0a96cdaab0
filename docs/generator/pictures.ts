import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { runMain } from "../../cli/run-main.ts";
import { repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { rolloutLines, terminalPicture } from "./terminal-picture.ts";

const MOST_BYTES = 150_000;
const folder = join(repoRoot, "docs", "pictures");

/** `npm run docs:pictures -- REPORT.html UP.log`: the report as a PNG, what an `up` says of its hosts as an SVG. */
async function main([report, log]: string[]): Promise<number> {
  if (report === undefined || log === undefined)
    throw new UserError({
      where: "docs:pictures",
      what: "takes a report and the output of an `up`",
      remedy: "npm run docs:pictures -- REPORT.html UP.log",
    });
  const lines = rolloutLines(readFileSync(log, "utf8"));
  if (lines.length === 0) throw new UserError({ where: log, what: "has no line about a host" });
  await photograph(resolve(report), join(folder, "report.png"));
  writeFileSync(join(folder, "rollout.svg"), terminalPicture(lines, "A rollout in the terminal"));
  for (const name of ["report.png", "rollout.svg"]) {
    const what = `${String(statSync(join(folder, name)).size)} bytes, of at most ${String(MOST_BYTES)}`;
    if (statSync(join(folder, name)).size > MOST_BYTES) throw new UserError({ where: name, what });
    console.log(`written: docs/pictures/${name}, ${what}`);
  }
  return 0;
}

/** The upper part of a page, by Debian's chromium. */
async function photograph(page: string, picture: string): Promise<void> {
  const { failed, shortMessage = "" } = await execa({ reject: false })`
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1160,760
    --screenshot=${picture} ${pathToFileURL(page).href}`;
  const remedy = "install Debian's package chromium";
  if (failed) throw new UserError({ where: "chromium", what: shortMessage, remedy });
}

await runMain(main, process.argv.slice(2));
