import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { repoRoot } from "../../common/paths.ts";
import { rollOutInWaves, type WaveHost, type WavePosition } from "../../infra/fleet/rollout/in-waves.ts";
import { Playbook } from "../../infra/fleet/rollout/playbook.ts";
import type { Machine } from "../../infra/ssh/machine.ts";
import { ARTIFACT, type TrivialRelease } from "./release.ts";

export const plays = join(repoRoot, "bench", "fleet", "plays");

/** What both ways roll out, and where to. */
export interface Fleet {
  hosts: readonly Machine[];
  release: TrivialRelease;
  /** Hosts at work at the same time. */
  concurrency: number;
  /** Whether plays do nothing, so that only what is beside them takes time. */
  idle?: true;
  /** Each way has a folder in it for each host, which stands for the host's /var/lib/pipress. */
  folder: string;
}

/**
 * The Pulumi program: all hosts fetch the release, then a canary gets it, then the rest. Waves do not soak.
 * @returns seconds that the canary took
 */
export function declareRollout({
  hosts,
  release,
  concurrency,
  folder,
  idle,
}: Fleet): pulumi.Output<number | undefined> {
  const files = release.files.map(({ path, sha256, bytes }) => ({
    sha256,
    bytes,
    source: { store: pathToFileURL(folder).href, key: ARTIFACT, file: basename(path) },
  }));
  const play =
    (playbook: string, suffix: string) =>
    ({ name, connection }: WaveHost, { after }: WavePosition<WaveHost>) =>
      new Playbook(
        name + suffix,
        {
          playbook: join(plays, idle ? "probe.yml" : playbook),
          contentDigest: "1",
          host: connection,
          vars: { ...release.vars, pipress_root: join(folder, "pipress", name) },
          files,
          failures: "report",
          concurrency,
        },
        { dependsOn: [...after] },
      );
  const playbooks = rollOutInWaves({
    hosts: hosts.map((connection) => ({ name: connection.name, labels: {}, connection })),
    steps: {
      canary: { count: 1 },
      steps: [],
      soak: 0,
      maxFailures: { count: 0 },
      concurrency,
      prefetch: true,
      peerToPeer: false,
      unreachable: "fail",
    },
    stage: play("stage.yml", "-staged"),
    playbook: play("site.yml", ""),
    releaseOf: () => release.vars.pipress_release.digest,
    probe: join(plays, "probe.yml"),
    probeVars: () => ({}),
  });
  const [canary] = playbooks.values();
  return pulumi.output(canary?.recap).apply((recap) => recap?.seconds);
}
