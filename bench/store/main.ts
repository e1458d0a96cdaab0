import { join } from "node:path";
import { execa } from "execa";
import { z } from "zod";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { formatBytes, parseBytes } from "../../common/units.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { runTool } from "../../toolchain/bootstrap/process.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";
import { ensureUv } from "../../toolchain/bootstrap/uv.ts";
import { readOptions, whole } from "../options.ts";
import { writeResults } from "../results.ts";
import { resultsTable, rowsOf } from "../rows.ts";

/** What one tool reached. */
const measured = z.object({
  put_bytes_per_second: z.number(),
  get_bytes_per_second: z.number(),
  peak_rss_bytes: z.number(),
});

const LOCK = join(repoRoot, "bench", "store", "awscli.lock");
const FULL = { size: 4e9, rounds: 3 };

/**
 * `npm run bench:store`: puts and gets one large file, beside the AWS CLI on the same server; writes bench/results/store.json.
 * With another `--size` or `--rounds` it only says what it found.
 */
export async function main(args: string[]): Promise<number> {
  const shape = {
    size: z.string().transform(parseBytes).pipe(z.number('write it as "4 GB"').min(1)).default(FULL.size),
    rounds: whole.min(1).default(FULL.rounds),
  };
  const { size, rounds } = readOptions("bench:store", shape, args);
  await bootstrap({ purpose: "test" });
  const aws = await ensureAwsCli();
  const { python } = pythonEnvironment(cacheDir());
  console.error(
    `bench:store: ${String(rounds)} rounds of ${formatBytes(size)} against versitygw on loopback`,
  );
  const { stdout } = await execa(
    python,
    ["-m", "pipress.store.testing.benchmark", String(size), String(rounds), ...aws],
    { env: { PYTHONPATH: join(repoRoot, "models") }, stderr: "inherit" },
  );
  const { peer, ...ours } = measured.extend({ peer: measured }).parse(JSON.parse(stdout));
  const rows = rowsOf(formatBytes(size), ours, { name: "AWS CLI", figures: peer });
  console.log(resultsTable(rows));
  if (size === FULL.size && rounds === FULL.rounds) writeResults("store", { rows });
  return 0;
}

/** The AWS CLI that `bench:store` measures itself by, from the Python package index: the command line to run it. */
async function ensureAwsCli(): Promise<string[]> {
  const installation = join(cacheDir(), "aws-cli");
  const { python } = pythonEnvironment(cacheDir());
  const ctx = { cacheDir: cacheDir(), signal: new AbortController().signal, progress: () => undefined };
  const uv = await ensureUv(ctx);
  console.error("bench:store: installing the AWS CLI, where it is not yet");
  await runTool({
    where: "bench:store / AWS CLI",
    command: uv.path,
    env: uv.env,
    args: ["pip", "install", "--python", python, "--target", installation, "--require-hashes", "-r", LOCK],
    remedy: "check that this machine reaches a Python package index, then run the same command again",
  });
  return ["env", `PYTHONPATH=${installation}`, python, "-m", "awscli"];
}
