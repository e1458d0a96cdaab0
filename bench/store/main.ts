import { join } from "node:path";
import { execa } from "execa";
import { readOptions } from "../options.ts";
import { beside, thisRun, writeResults, type Row } from "../results.ts";
import { formatBytes, parseBytes } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { ensureAwsCli } from "./aws-cli.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";

interface Figures {
  put_bytes_per_second: number;
  get_bytes_per_second: number;
  peak_rss_bytes: number;
}

type Result = Figures & { peer: Figures };

const FULL = { size: "4 GB", rounds: "3" };

/**
 * `npm run bench:store`: puts and gets one large file, beside the AWS CLI on the same server; writes bench/results/store.json.
 * With another `--size` or `--rounds` it only says what it found.
 */
export async function main(args: string[]): Promise<number> {
  const values = { ...FULL, ...readOptions("bench:store", ["size", "rounds"], args) };
  const bytes = parseBytes(values.size);
  const rounds = Number(values.rounds);
  if (bytes === undefined || bytes === 0 || !Number.isInteger(rounds) || rounds < 1)
    throw new UserError({
      where: "bench:store",
      what: `cannot measure --size "${values.size}" --rounds ${values.rounds}`,
      remedy: 'write them as --size "4 GB" --rounds 3',
    });
  await bootstrap({ purpose: "test" });
  const aws = await ensureAwsCli();
  const { python } = pythonEnvironment(cacheDir());
  console.error(`bench:store: ${String(rounds)} rounds of ${values.size} against versitygw on loopback`);
  const { stdout } = await execa(
    python,
    ["-m", "pipress.store.testing.benchmark", String(bytes), String(rounds), ...aws],
    { env: { PYTHONPATH: join(repoRoot, "models") }, stderr: "inherit" },
  );
  const rows = rowsOf(JSON.parse(stdout) as Result, bytes);
  if (values.size === FULL.size && values.rounds === FULL.rounds)
    writeResults({ bench: "store", ...thisRun(), rows });
  for (const { metric, value, unit, baseline, baselineValue = 0, ratio = 0 } of rows) {
    const figure = (of: number): string => `${formatBytes(of)}${unit.slice("bytes".length)}`.padStart(11);
    const [name = ""] = metric.split("_bytes");
    const theirs = `${baseline ?? ""}${figure(baselineValue)}`;
    console.log(`${name.padEnd(8)}${figure(value)}  ${theirs}  ratio ${ratio.toFixed(2)}`);
  }
  return 0;
}

/** Ours beside the AWS CLI's, by metric. */
function rowsOf({ peer, ...ours }: Result, bytes: number): Row[] {
  const units = {
    put_bytes_per_second: "bytes/s",
    get_bytes_per_second: "bytes/s",
    peak_rss_bytes: "bytes",
  } as const;
  return (Object.keys(units) as (keyof Figures)[]).map((metric) => ({
    case: formatBytes(bytes),
    metric,
    value: ours[metric],
    unit: units[metric],
    ...beside(ours[metric], "AWS CLI", peer[metric]),
  }));
}
