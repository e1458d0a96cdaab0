import { execa } from "execa";
import { expect, test } from "vitest";
import { repoRoot } from "../common/paths.ts";

const code = `import("./cli/ask-sudo-password.ts").then(async ({ askSudoPassword }) => {
  await askSudoPassword();
  console.log("length " + process.env.PIPRESS_SUDO_PASSWORD.length);
}).catch((error) => console.log(error.message));`;
const node = ["--import", "tsx", "--eval", code];
const options = { cwd: repoRoot, reject: false } as const;

/** Runs it at a terminal, script(1)'s, and types once the question is there. */
async function atTerminal(typed: string): Promise<string> {
  const command = [process.execPath, ...node].map((word) => `'${word}'`).join(" ");
  const run = execa("script", ["--quiet", "--return", "--command", command, "/dev/null"], options);
  let shown = "";
  run.stdout.on("data", (chunk: Buffer) => {
    const wasAsked = shown.includes("sudo on the hosts: ");
    shown += chunk.toString();
    if (!wasAsked && shown.includes("sudo on the hosts: ")) run.stdin.write(typed);
  });
  await run;
  return shown;
}

test("asks at the terminal, and shows nothing of what is typed", { timeout: 30_000 }, async () => {
  const shown = await atTerminal("ganz geheim\r");
  expect(shown).toContain("length 11");
  expect(shown).not.toContain("geheim");
});

test("ends at Ctrl-C", { timeout: 30_000 }, async () => {
  expect(await atTerminal("ganz\u0003")).toContain("--ask-sudo-password: cancelled");
});

test("says what else there is where there is no terminal", { timeout: 30_000 }, async () => {
  const { stdout } = await execa(process.execPath, node, { ...options, stdin: "ignore" });
  expect(stdout).toMatch(/there is no terminal to ask at — .*PIPRESS_SUDO_PASSWORD/);
});
