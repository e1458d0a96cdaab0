/** How a play gets a model out of a bucket. The job runner is a stand-in here; models/pipress/store tests its downloads. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { standInToolchain } from "../../toolchain/testing/stand-in-toolchain.ts";
import { fetchModelFile } from "./fetch-model-file.ts";

const { signal } = new AbortController();
let folder: string;
let lines: string[];
let keys = 0;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pipress-fetch-"));
  lines = [];
  vi.stubEnv("PIPRESS_CACHE", folder);
  vi.stubEnv("PIPRESS_DATA", join(folder, "data"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** A file of an artifact that nobody has fetched yet, in a bucket that nobody asks. */
const artifact = (store = "s3://models/p") => ({
  store,
  key: String(++keys).padStart(64, "0"),
  file: "model.gguf",
});
const fetching = (of: ReturnType<typeof artifact>, cancel = signal) =>
  fetchModelFile(of, (line) => lines.push(line), cancel);
const calls = () => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");
const note = (): string => `echo "$PYTHONPATH" "$@" >> ${join(folder, "calls")}`;

test("a file of a store in a folder is where it is: nothing is fetched", async () => {
  const local = artifact(pathToFileURL(folder).href);
  expect(await fetching(local)).toBe(join(folder, "artifacts", local.key, "model.gguf"));
});

test("hosts that begin together share one download of a bucket's artifact, which is shown", async () => {
  standInToolchain(folder, `${note()}; echo >&2 "fetching 1 of 2 MB"; echo >&2 "fetching 2 of 2 MB"`);
  const remote = artifact();
  const path = join(folder, "data", "cache", "artifacts", remote.key, "model.gguf");
  expect(await Promise.all([fetching(remote), fetching(remote)])).toEqual([path, path]);
  expect(await fetching({ ...remote, file: "other" })).toBe(join(path, "..", "other"));
  const jobs = join(folder, "data", "jobs");
  const command = `-m pipress store fetch --jobs ${jobs} s3://models/p ${remote.key}`;
  expect(calls()).toEqual([`${join(repoRoot, "models")} ${command}`]);
  expect(lines).toEqual(["fetching 1 of 2 MB", "fetching 2 of 2 MB"]);
  await fetching(artifact());
  expect(calls()).toHaveLength(2);
});

test("a download that fails says why, and the next play tries again", async () => {
  standInToolchain(folder, `${note()}; echo >&2 "fetching"; echo >&2 "the bucket is gone"; exit 1`);
  const remote = artifact();
  const error: unknown = await fetching(remote).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toMatch(/^s3:\/\/models\/p: the bucket is gone — run `up` again/);
  standInToolchain(folder, note());
  await fetching(remote);
  expect(calls()).toHaveLength(2);
});

test("a download that fails without a word names the artifact", async () => {
  standInToolchain(folder, "exit 1");
  const remote = artifact();
  await expect(fetching(remote)).rejects.toThrow(`artifact ${remote.key} could not be fetched`);
});

test("a download that is cancelled ends", async () => {
  standInToolchain(folder, "exec sleep 60");
  const abort = new AbortController();
  const running = fetching(artifact(), abort.signal);
  setTimeout(() => abort.abort(), 100);
  await expect(running).rejects.toThrow(UserError);
});
