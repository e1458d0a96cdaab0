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
 * `npm run bench:fleet [-- --hosts N,N]`: a trivial release to fleets of sshd instances on loopback, with the real engine and
 * beside plain `ansible-playbook`. A fleet of another size than `SIZES` is not written to the results.
 */
export async function main(args: string[]): Promise<number> {
  const { hosts } = readOptions("bench:fleet", { hosts: list(whole.min(1)).default(SIZES) }, args);
  await bootstrap({ purpose: "test" });
  const rows: Row[] = [];
  for (const size of hosts) {
    const measured = await measureFleet(size);
    console.log(resultsTable(measured));
    if (SIZES.includes(size)) rows.push(...measured);
  }
  if (rows.length > 0) writeResults("fleet", { rows });
  return 0;
}

/** Both ways get hosts that have nothing yet: a folder of its own for each. */
async function measureFleet(size: number): Promise<Row[]> {
  const count = `${String(size)} ${size === 1 ? "host" : "hosts"}`;
  const folder = await mkdtemp(join(tmpdir(), "pipress-fleet-"));
  const daemons: TestSshd[] = [];
  try {
    for (let index = 0; index < size; index += 1) daemons.push(await startSshd(`pi-${index}`));
    const hosts = daemons.map(({ host }) => host);
    const fleet = { hosts, release: makeTrivialRelease(folder), concurrency, folder };
    console.error(`bench:fleet: ${count}, plain Ansible`);
    const plain = await rollOutWithPlainAnsible(fleet, size < LARGE);
    console.error(`bench:fleet: plain Ansible took ${plain.rollout.seconds.toFixed(1)} s; now pipress`);
    const ours = await rollOutWithPipress(fleet);
    const baseline = { name: PLAIN, figures: figuresOf(plain) };
    return rowsOf(`${count}, ${String(concurrency)} at a time`, figuresOf(ours), baseline);
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.remove()));
    await rm(folder, { recursive: true, force: true });
  }
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
