import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { repoRoot } from "../common/paths.ts";
import {
  opensSalt,
  passphraseFile,
  passphraseProblem,
  passphraseVariables,
  writePassphrase,
} from "./passphrase.ts";

const local = "file:///home/me/state";
const published = (
  parse(readFileSync(join(repoRoot, "Pulumi.dev.yaml"), "utf8")) as { encryptionsalt: string }
).encryptionsalt;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pipress-passphrase-"));
  vi.stubEnv("XDG_CONFIG_HOME", join(folder, "config"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** What is wrong with a stack. @param settings what its file says besides its configuration */
function problemOf(name: string, { backend = local, settings = {}, user = {} } = {}) {
  const file = join(folder, `Pulumi.${name}.yaml`);
  writeFileSync(file, JSON.stringify({ ...settings, config: { "pipress:recipe": "smollm2-135m" } }));
  return passphraseProblem({ name, backend, file }, user);
}

describe("the published passphrase", () => {
  const own = { PULUMI_CONFIG_PASSPHRASE: "pipress-dev" };

  test("serves the stack dev with a state on this machine, and nothing else", () => {
    for (const stack of ["dev", "organization/pipress/dev"])
      expect(passphraseVariables(stack, local, {})).toEqual(own);
    expect(passphraseVariables("dev", "s3://bucket", {})).toEqual({});
    expect(passphraseVariables("dev2", local, {})).toEqual({});
    expect(passphraseVariables(undefined, local, {})).toEqual({});
    expect(problemOf("dev")).toBeUndefined();
  });

  test("is no matter of a salt that was left empty", () => {
    writePassphrase();
    expect(problemOf("home", { settings: { encryptionsalt: null } })).toBeUndefined();
  });

  test("opens the committed salt, which no other does", () => {
    expect(opensSalt("pipress-dev", published)).toBe(true);
    expect(opensSalt("another", published)).toBe(false);
  });

  test("of an existing stack is told from the stack's salt, with the line that changes it", () => {
    const settings = { encryptionsalt: published };
    writePassphrase();
    const problem = problemOf("home", { settings });
    expect(problem?.kind).toBe("published");
    expect(problem?.remedy).toBe(
      "change it: `PULUMI_CONFIG_PASSPHRASE=pipress-dev ./pipress pulumi stack change-secrets-provider passphrase " +
        `--stack home < ${passphraseFile()}\``,
    );
    const user = { PULUMI_CONFIG_PASSPHRASE_FILE: "/mine" };
    expect(problemOf("home", { settings, user })?.kind).toBe("published");
    expect(problemOf("dev", { settings, backend: "s3://bucket" })?.kind).toBe("published");
  });

  test("in the environment is none for another stack", () => {
    expect(problemOf("home", { user: own })).toMatchObject({ kind: "environment" });
  });
});

describe("a stack of one's own", () => {
  test("without a passphrase is refused with the line that makes one, which does", async () => {
    const problem = problemOf("home");
    expect(problem).toMatchObject({
      kind: "none",
      where: "stack home",
      what: "it has no passphrase, which encrypts its API key and its other secrets",
    });
    const line = /`(.*?)`/.exec(problem?.remedy ?? "")?.[1] ?? "";
    await execa("sh", ["-c", line]);
    expect(readFileSync(passphraseFile(), "utf8").trim().length).toBeGreaterThan(40);
    expect(statSync(passphraseFile()).mode & 0o777).toBe(0o600);
    expect(problemOf("home")).toBeUndefined();
  });

  test("takes the file that was written once, which this user alone reads", () => {
    writePassphrase();
    expect(passphraseVariables("home", local, {})).toEqual({
      PULUMI_CONFIG_PASSPHRASE_FILE: passphraseFile(),
    });
    expect(statSync(passphraseFile()).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(passphraseFile())).mode & 0o777).toBe(0o700);
    expect(() => {
      writePassphrase();
    }).toThrow(/EEXIST/);
  });

  test("does not take a file that others can read", () => {
    mkdirSync(dirname(passphraseFile()), { recursive: true });
    writeFileSync(passphraseFile(), "known\n");
    chmodSync(passphraseFile(), 0o644);
    expect(() => passphraseVariables("home", local, {})).toThrow(
      /others on this machine can read the passphrase of your stacks — `chmod 600 /,
    );
  });

  test.each([
    { PULUMI_CONFIG_PASSPHRASE: "mine" },
    { PULUMI_CONFIG_PASSPHRASE: "" },
    { PULUMI_CONFIG_PASSPHRASE_FILE: "/mine" },
  ])("takes the user's own from the environment: %o", (user) => {
    expect(problemOf("home", { user })).toBeUndefined();
    expect(passphraseVariables("home", local, user)).toEqual({});
  });

  test.each([
    { settings: { secretsprovider: "awskms://alias/pipress", encryptedkey: "AQ==" } },
    { backend: "https://api.pulumi.com" },
  ])("needs none where something else keeps its secrets: %o", (where) => {
    expect(problemOf("home", where)).toBeUndefined();
  });

  test.each(["s3://bucket", "gs://bucket", "azblob://container"])(
    "needs one with a state in %s",
    (backend) => {
      expect(problemOf("home", { backend })?.kind).toBe("none");
    },
  );
});
