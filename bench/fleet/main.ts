import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { makeProject } from "../../infra/provider/testing/engine.ts";
import { startSshd, type TestSshd } from "../../infra/ssh/testing/sshd.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { measure } from "../measured.ts";
import { makeTrivialRelease } from "./release.ts";
import type { Fleet } from "./program.ts";
import { rollOutWithPlainAnsible, type Ups } from "./with-plain-ansible.ts";
import { list, readOptions, whole } from "../options.ts";
import { writeResults } from "../results.ts";
import { resultsTable, rowsOf, type Figures, type Row } from "../rows.ts";

const SIZES = [1, 10, 50, 300];
/** Plain Ansible looks at every host again, which takes as long as the rollout: in larger fleets that is left out. */
const LARGE = 100;
/** Hosts at work at the same time, and Ansible's forks: the default of `rollout.concurrency`. */
const concurrency = 10;
const PLAIN = "ansible-playbook with the same forks, hosts and tasks";

/**
 * `npm run bench:fleet [-- --hosts N,N] [--reckon N]`: a trivial release to fleets of sshd instances on loopback, with the real
 * engine and beside plain `ansible-playbook`. A fleet of another size than `SIZES` is not written to the results. `--reckon`
 * adds a fleet that takes too long to measure.
 */
export async function main(args: string[]): Promise<number> {
  const { hosts, reckon } = readOptions(
    "bench:fleet",
    { hosts: list(whole.min(1)).default(SIZES), reckon: whole.min(1).optional() },
    args,
  );
  await bootstrap({ purpose: "test" });
  const rows: Row[] = [];
  let largest: Compared | undefined;
  for (const size of hosts) {
    const compared = await withFleet(size, (fleet) => compare(fleet));
    const measured = rowsFor(nameOf(size), compared);
    console.log(resultsTable(measured));
    if (SIZES.includes(size)) rows.push(...measured);
    if (size >= (largest?.size ?? 0)) largest = compared;
  }
  if (reckon !== undefined && largest !== undefined) {
    const from = largest;
    const reckoned = await withFleet(reckon, (fleet) => reckonFor(fleet, from));
    rows.push(...rowsFor(`${String(reckon)} reckoned hosts`, reckoned));
    console.log(resultsTable(rows.slice(-4)));
  }
  if (rows.length > 0) writeResults("fleet", { rows });
  return 0;
}

/** What a fleet took, ours and with plain Ansible. */
interface Compared {
  size: number;
  ours: Figures;
  plain: Figures;
}

function nameOf(size: number): string {
  return `${String(size)} ${size === 1 ? "host" : "hosts"}`;
}

function rowsFor(name: string, { ours, plain }: Compared): Row[] {
  return rowsOf(`${name}, ${String(concurrency)} at a time`, ours, { name: PLAIN, figures: plain });
}

/** Works with a fleet of hosts that have nothing yet. */
async function withFleet(size: number, work: (fleet: Fleet) => Promise<Compared>): Promise<Compared> {
  const folder = await mkdtemp(join(tmpdir(), "pipress-fleet-"));
  const daemons: TestSshd[] = [];
  try {
    for (let index = 0; index < size; index += 1) daemons.push(await startSshd(`pi-${index}`));
    const hosts = daemons.map(({ host }) => host);
    return await work({ hosts, release: makeTrivialRelease(folder), concurrency, folder });
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.remove()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Each way has a folder of its own on every host. */
async function compare(fleet: Fleet): Promise<Compared> {
  const size = fleet.hosts.length;
  console.error(`bench:fleet: ${nameOf(size)}, plain Ansible`);
  const plain = await rollOutWithPlainAnsible(fleet, size < LARGE);
  console.error(`bench:fleet: plain Ansible took ${plain.rollout.seconds.toFixed(1)} s; now pipress`);
  const ours = await rollOutWithPipress(fleet);
  return { size, ours: figuresOf(ours), plain: figuresOf(plain) };
}

/**
 * A fleet that takes too long to measure. Plain Ansible's time grows with the number of hosts; ours is that, and what a
 * rollout of plays takes that do nothing, which is measured. A canary does nothing there: its time is added. In truth hosts
 * play while others connect, so that this is rather too much than too little.
 * @param from the fleet whose times are taken to be those of this one, for each host
 */
async function reckonFor(fleet: Fleet, from: Compared): Promise<Compared> {
  const size = fleet.hosts.length;
  console.error(`bench:fleet: ${nameOf(size)}, plays that do nothing`);
  const { rollout_seconds: beside = 0, ...ours } = figuresOf(
    await rollOutWithPipress({ ...fleet, idle: true }),
  );
  const playing = (size / from.size) * (from.plain.rollout_seconds ?? 0);
  const canary = from.ours.canary_seconds ?? 0;
  const rollout = Number((playing + beside + canary).toFixed(2));
  return {
    size,
    ours: { rollout_seconds: rollout, ...ours, canary_seconds: canary },
    plain: { rollout_seconds: Number(playing.toFixed(2)) },
  };
}

/** Rolls the release out with the real engine, and finds nothing to do after that. */
async function rollOutWithPipress(fleet: Fleet): Promise<Ups> {
  const project = await makeProject(`
    import { declareRollout } from "${join(repoRoot, "bench", "fleet", "program.ts")}";
    export const canarySeconds = declareRollout(${JSON.stringify(fleet)});
  `);
  try {
    const rollout = await measure(project.start("up", "--yes", "--skip-preview"));
    const canarySeconds = Number(await project.pulumi("stack", "output", "canarySeconds"));
    const noop = await measure(project.start("up", "--yes", "--skip-preview", "--expect-no-changes"));
    return { rollout, noop, canarySeconds };
  } finally {
    await project.remove();
  }
}

function figuresOf({ rollout, noop, canarySeconds }: Ups): Figures {
  return {
    rollout_seconds: Number(rollout.seconds.toFixed(2)),
    canary_seconds: canarySeconds,
    noop_seconds: noop && Number(noop.seconds.toFixed(2)),
    peak_bytes: Math.max(rollout.peakBytes, noop?.peakBytes ?? 0),
  };
}
