import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSshd, type TestSshd } from "../../infra/ssh/testing/sshd.ts";
import { formatBytes } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { makeTrivialRelease } from "./release.ts";
import { rollOutWithPipress, type Ups } from "./with-pipress.ts";
import { rollOutWithPlainAnsible } from "./with-plain-ansible.ts";
import { readOptions } from "../options.ts";
import { table } from "../table.ts";
import { beside, thisRun, writeResults, type Row } from "../results.ts";

const SIZES = [1, 10, 50];
/** Hosts at work at the same time, and Ansible's forks: the default of `rollout.concurrency`. */
const PARALLEL = 10;
const PLAIN = "ansible-playbook with the same forks, hosts and tasks";

/** One fleet, rolled out to in both ways. */
interface Case {
  hosts: number;
  pipress: Ups;
  plain: Ups;
}

/**
 * `npm run bench:fleet [-- --hosts N,N]`: a trivial release to 1, 10 and 50 hosts, which are sshd instances on loopback,
 * with the real engine and beside plain `ansible-playbook`. With other numbers of hosts nothing is written to the results.
 */
export async function main(args: string[]): Promise<number> {
  const { hosts: asked } = readOptions("bench:fleet", ["hosts"], args);
  const sizes = asked === undefined ? SIZES : sizesOf(asked);
  await bootstrap({ purpose: "test" });
  const cases: Case[] = [];
  for (const hosts of sizes) {
    const measured = await measureCase(hosts);
    cases.push(measured);
    console.log(tableOf(measured));
  }
  if (asked === undefined) writeResults({ bench: "fleet", ...thisRun(), rows: cases.flatMap(rowsOf) });
  return 0;
}

function sizesOf(text: string): number[] {
  const sizes = text.split(",").map(Number);
  if (sizes.every((size) => Number.isInteger(size) && size > 0)) return sizes;
  throw new UserError({ where: "bench:fleet --hosts", what: `is ${text}`, remedy: "as in --hosts 1,10" });
}

/** Both ways get hosts that have nothing yet: a folder of its own for each. */
async function measureCase(size: number): Promise<Case> {
  const folder = await mkdtemp(join(tmpdir(), "pipress-fleet-"));
  const daemons: TestSshd[] = [];
  try {
    for (let index = 0; index < size; index += 1) daemons.push(await startSshd(`pi-${index}`));
    const hosts = daemons.map(({ host }) => host);
    const release = makeTrivialRelease(folder);
    const rootsIn =
      (tool: string) =>
      ({ name }: { name: string }) =>
        join(folder, tool, name);
    const { ansiblePlaybook } = readToolchain();
    console.error(`bench:fleet: ${size} ${size === 1 ? "host" : "hosts"}, plain Ansible`);
    const plain = await rollOutWithPlainAnsible(
      ...([ansiblePlaybook, hosts, release, rootsIn("plain"), PARALLEL, folder] as const),
    );
    console.error(`bench:fleet: plain Ansible took ${plain.rollout.seconds.toFixed(1)} s; now pipress`);
    const pipress = await rollOutWithPipress(hosts, release, rootsIn("pipress"), PARALLEL);
    return { hosts: size, pipress, plain };
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.remove()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** The figures of a case by their metric: ours, and plain Ansible's. */
function figuresOf({ pipress, plain }: Case): Record<string, [number, number]> {
  const peak = ({ rollout, noop }: Ups) => Math.max(rollout.peakRssBytes, noop.peakRssBytes);
  return {
    rollout_seconds: [pipress.rollout.seconds, plain.rollout.seconds],
    noop_seconds: [pipress.noop.seconds, plain.noop.seconds],
    peak_rss_bytes: [peak(pipress), peak(plain)],
  };
}

function tableOf(measured: Case): string {
  const rows = Object.entries(figuresOf(measured)).map(([metric, [ours, plain]]) => {
    const format = metric.endsWith("bytes") ? formatBytes : (seconds: number) => `${seconds.toFixed(1)} s`;
    return [String(measured.hosts), metric, format(ours), format(plain), (ours / plain).toFixed(2)];
  });
  return table(["hosts", "metric", "pipress", "plain Ansible", "ratio"], "rlrrr", rows);
}

function rowsOf(measured: Case): Row[] {
  return Object.entries(figuresOf(measured)).map(([metric, [ours, plain]]) => ({
    case: `${String(measured.hosts)} ${measured.hosts === 1 ? "host" : "hosts"}, ${String(PARALLEL)} at a time`,
    metric,
    value: Number(ours.toFixed(2)),
    unit: metric.endsWith("bytes") ? "bytes" : "s",
    ...beside(ours, PLAIN, Number(plain.toFixed(2))),
  }));
}
