import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { expect, it, vi } from "vitest";
import { repoRoot } from "../common/paths.ts";
import { buildProgram } from "./program.ts";

/** Parses a command line; no verb of these tests runs. Returns what was printed and how it ended. */
async function parse(...args: string[]): Promise<{ out: string; err: string; ended: string | undefined }> {
  const program = buildProgram(() => undefined);
  let out = "";
  let err = "";
  for (const command of [program, ...descendants(program)])
    command.configureOutput({ writeOut: (text) => (out += text), writeErr: (text) => (err += text) });
  const ended = await program.parseAsync(args, { from: "user" }).then(
    () => undefined,
    (error: unknown) => (error as { code: string }).code,
  );
  return { out, err, ended };
}

function descendants(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...descendants(child)]);
}

function pathOf(command: Command): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}

const verbs = descendants(buildProgram(() => undefined)).map((command) => ({
  command,
  path: pathOf(command),
}));

it("has the verbs that README names", () => {
  expect(verbs.map(({ path }) => path.join(" "))).toEqual([
    ...["up", "preview", "refresh", "destroy", "init", "doctor", "status", "logs", "models"],
    ...["jobs", "jobs ls", "jobs logs", "jobs stop"],
    ...["store", "store ls", "store gc", "store rm"],
    ...["chat", "key", "open", "ssh", "rollback", "measure", "metrics", "pulumi", "env"],
  ]);
});

it.each(verbs)("describes $path, with an example that runs it", async ({ command, path }) => {
  expect(command.description()).not.toBe("");
  const [name = "", ...parents] = [...path].reverse();
  const { out } = await parse(...parents.reverse(), "help", name);
  expect(out).toMatch(new RegExp(`Example:\n  .*\\./pipress ${path.join(" ")}`));
});

/** What works on no stack, or hands everything on. */
const stackless = ["pulumi", "models", "init"];

it.each(
  verbs.filter(
    ({ command, path: [verb = ""] }) => command.commands.length === 0 && !stackless.includes(verb),
  ),
)("takes --stack in $path", ({ command }) => {
  expect(command.options.map(({ flags }) => flags)).toContain("-s, --stack <name>");
});

it.each([
  [["stattus"], "pipress: unknown command 'stattus' — did you mean status?\n"],
  [["status", "--stak", "home"], "pipress: unknown option '--stak' — did you mean --stack?\n"],
  [["store", "lss"], "pipress: unknown command 'lss' — did you mean ls?\n"],
  [["frobnicate"], "pipress: unknown command 'frobnicate' — see ./pipress --help\n"],
  [["logs"], "pipress: missing required argument 'host-or-stage' — see ./pipress logs --help\n"],
  [["up", "dev"], 'pipress: up takes no "dev" — other options of pulumi go behind --\n'],
  [["up", "--paralel", "4"], "pipress: unknown option '--paralel' — other options of pulumi go behind --\n"],
  [
    ["chat", "--max-tokens", "few"],
    "pipress: option '-n, --max-tokens <count>' argument 'few' is invalid. It is no whole number above 0 — see ./pipress chat --help\n",
  ],
  [
    ["store", "rm", "1", "2"],
    "pipress: too many arguments for 'rm'. Expected 1 argument but got 2 — see ./pipress store rm --help\n",
  ],
])("answers %j in one line", async (args, line) => {
  const { out, err, ended } = await parse(...args);
  expect({ out, err }).toEqual({ out: "", err: line });
  expect(ended).toMatch(/^commander\./);
});

const pulumi = vi.hoisted(() => ({
  operate: vi.fn(() => Promise.resolve(0)),
  pulumi: vi.fn(() => Promise.resolve(0)),
}));
vi.mock("./pulumi.ts", () => pulumi);

it("hands an operation's options and what follows -- to pulumi", async () => {
  await parse("up", "-y", "-s", "home", "-t", "urn:a", "--target", "urn:b", "--", "--parallel", "4");
  expect(pulumi.operate).toHaveBeenLastCalledWith(
    ["up", "--stack", "home", "--target", "urn:a", "--target", "urn:b", "--yes", "--parallel", "4"],
    true,
  );
  await parse("preview", "--config-file", "/x.yaml", "--json");
  expect(pulumi.operate).toHaveBeenLastCalledWith(["preview", "--config-file", "/x.yaml", "--json"], false);
});

it.each([["--help"], ["stack", "ls", "--json"], ["config", "set", "--secret", "key", "--", "-value"]])(
  "passes pulumi %s … on as it is",
  async (...args) => {
    await parse("pulumi", ...args);
    expect(pulumi.pulumi.mock.lastCall?.at(0)).toEqual(args);
  },
);

it("runs through a symlink from another folder: one line and status 2 for an unknown verb", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress-link-"));
  try {
    symlinkSync(join(repoRoot, "pipress"), join(folder, "pp"));
    const { status, stderr } = await new Promise<{ status: unknown; stderr: string }>((done) => {
      execFile("./pp", ["stattus"], { cwd: folder, encoding: "utf8" }, (error, _, stderr) => {
        done({ status: error?.code, stderr });
      });
    });
    expect(stderr).toBe("pipress: unknown command 'stattus' — did you mean status?\n");
    expect(status).toBe(2);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
