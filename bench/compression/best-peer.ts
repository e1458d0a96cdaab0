import { rowsOf, type Row } from "../rows.ts";
import type { Quality } from "./bench.ts";

/** One of several models, some of them ours, some peers'. */
export interface Measured extends Quality {
  name: string;
  isPeer: boolean;
}

/** Where less is better. Of equals the first. */
export function best<Metric extends string, T extends Record<Metric, number>>(
  models: readonly T[],
  metric: Metric,
): T | undefined {
  return [...models].sort((a, b) => a[metric] - b[metric])[0];
}

/** Rows of all models; each figure of ours beside the peer that did best. */
export function besideBestPeer(group: string, models: readonly Measured[]): Row[] {
  return (["perplexity", "kld"] as const).flatMap((metric) => {
    const peers = models.filter(({ isPeer }) => isPeer);
    const peer = best(peers, metric);
    return models.flatMap(({ name, isPeer, [metric]: value }) => {
      const baseline =
        isPeer || peer === undefined ? undefined : { name: peer.name, figures: { [metric]: peer[metric] } };
      return rowsOf(`${group}, ${name}`, { [metric]: value }, baseline);
    });
  });
}

/** `10 %` */
export function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}
