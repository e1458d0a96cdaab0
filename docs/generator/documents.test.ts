import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { buildProgram } from "../../cli/program.ts";
import { repoRoot } from "../../common/paths.ts";

const documents = [
  ...["README.md", "CONTRIBUTING.md"],
  ...readdirSync(join(repoRoot, "docs"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path) => join("docs", path)),
];

function read(path: string): string {
  return readFileSync(join(repoRoot, path), "utf8");
}

test("README has at most 150 lines", () => {
  expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(150);
});

describe.each(documents)("%s", (path) => {
  const text = read(path);

  test("has no line longer than 120 characters", () => {
    expect(text.split("\n").filter((line) => line.length > 120)).toEqual([]);
  });

  test("links to files and headings that exist", () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
    const isBroken = (link: string): boolean => {
      if (/^[a-z]+:/.test(link)) return false;
      const [file = "", heading] = link.split("#");
      const target = file === "" ? path : join(dirname(path), file);
      if (!existsSync(join(repoRoot, target))) return true;
      return heading !== undefined && !headings(read(target)).includes(heading);
    };
    expect(links.filter(isBroken)).toEqual([]);
  });

  test("names only npm scripts that exist", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const named = [...text.matchAll(/npm run (?:-\S+ )*([a-z0-9:-]+)/g)].map((match) => match[1] ?? "");
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  });

  test("names only verbs and options of ./pipress that exist", () => {
    const calls = [...text.matchAll(/\.\/pipress ([a-z][^`\n|)#;]*)/g)].map((match) =>
      (match[1] ?? "").trim(),
    );
    expect(calls.filter((call) => !isKnown(call))).toEqual([]);
  });
});

test("CONTRIBUTING's map names folders and files that exist", () => {
  const rows = [...read("CONTRIBUTING.md").matchAll(/^\| `([^`]+)\/`.*\| `([^`]+)` +\|$/gm)];
  expect(rows.length).toBeGreaterThan(15);
  const paths = rows.map(([, folder = "", file = ""]) => join(folder, file));
  expect(paths.filter((path) => !existsSync(join(repoRoot, path)))).toEqual([]);
});

test("an unknown verb and an unknown option are seen", () => {
  const known = ["status --stack home", "jobs ls", "pulumi stack init home"];
  const unknown = ["stattus", "status --stak home"];
  expect([...known, ...unknown].filter((call) => isKnown(call))).toEqual(known);
});

/** GitHub's anchors of a page's headings. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? "")
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** Whether the words of a call are verbs and long options of the program. */
function isKnown(call: string): boolean {
  const words = call.split(/\s+/);
  let command: Command = buildProgram(() => undefined);
  for (const word of words) {
    const next = command.commands.find((candidate) => candidate.name() === word);
    if (next === undefined) break;
    command = next;
  }
  if (command.parent === null) return false;
  if (command.name() === "pulumi") return true;
  const options = words.filter((word) => word.startsWith("--")).map((word) => word.split("=")[0]);
  return options.every(
    (option) => option === "--help" || command.options.some((known) => known.long === option),
  );
}
