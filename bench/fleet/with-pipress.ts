import { join } from "node:path";
import type { Machine } from "../../infra/ssh/machine.ts";
import { repoRoot } from "../../common/paths.ts";
import { makeProject } from "../../infra/provider/testing/engine.ts";
import type { RolloutConfig } from "../../infra/config/rollout-schema.ts";
import { measure, type Measured } from "../measured.ts";
import type { TrivialRelease } from "./release.ts";

const plays = join(repoRoot, "bench", "fleet", "plays");

/** A rollout, and an `up` that finds nothing to do. */
export interface Ups {
  rollout: Measured;
  noop: Measured;
}

/** What both ways roll out, and where to. */
export interface Fleet {
  hosts: readonly Machine[];
  release: TrivialRelease;
  /** Hosts at work at the same time. */
  concurrency: number;
  /** Each way has a folder in it for each host, which stands for the host's /var/lib/pipress. */
  folder: string;
}

/** Rolls the release out with the real engine: all hosts fetch it, then a canary gets it, then the rest. Waves do not soak. */
export async function rollOutWithPipress({ hosts, release, concurrency, folder }: Fleet): Promise<Ups> {
  const steps: RolloutConfig = {
    canary: { count: 1 },
    steps: [],
    soak: 0,
    maxFailures: { count: 0 },
    concurrency,
    prefetch: true,
    peerToPeer: false,
    unreachable: "fail",
  };
  const fleet = hosts.map((connection) => {
    const { name } = connection;
    return { name, labels: {}, connection, root: join(folder, "pipress", name) };
  });
  const project = await makeProject(`
    import { rollOutInWaves } from "${repoRoot}/infra/fleet/rollout/in-waves.ts";
    import { Playbook } from "${repoRoot}/infra/fleet/rollout/playbook.ts";
    const shared = ${JSON.stringify(release.vars)};
    const files = ${JSON.stringify(release.files)};
    const declare = (host, playbook, suffix, after) => new Playbook(host.name + suffix, {
      playbook, contentDigest: "1", host: host.connection, vars: { ...shared, pipress_root: host.root }, files,
      failures: "report", concurrency: ${concurrency},
    }, { dependsOn: after });
    rollOutInWaves({
      hosts: ${JSON.stringify(fleet)},
      steps: ${JSON.stringify(steps)},
      stage: (host, { after }) => declare(host, ${JSON.stringify(join(plays, "stage.yml"))}, "-staged", after),
      playbook: (host, { after }) => declare(host, ${JSON.stringify(join(plays, "site.yml"))}, "", after),
      releaseOf: () => shared.pipress_release.digest,
      probe: ${JSON.stringify(join(plays, "probe.yml"))},
      probeVars: () => ({}),
    });
  `);
  try {
    const rollout = await measure(project.start("up", "--yes", "--skip-preview"));
    const noop = await measure(project.start("up", "--yes", "--skip-preview", "--expect-no-changes"));
    return { rollout, noop };
  } finally {
    await project.remove();
  }
}
