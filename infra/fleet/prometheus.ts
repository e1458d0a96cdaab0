import { stringify } from "yaml";

/** Port of Debian's node exporter. */
export const nodePort = 9100;

/** A host as Prometheus scrapes it. */
export interface ScrapeTarget {
  name: string;
  group?: string;
  labels: Readonly<Record<string, string>>;
  /** `address:port` of llama-server. */
  server: string;
  /** `address:port` of the node exporter; undefined where none is installed. */
  node?: string;
}

/**
 * Prometheus's configuration for a fleet, as YAML: one job for llama-server, whose figures are behind the API key, one for
 * the node exporters.
 * @param keyFile path of the file with the API key, as Prometheus will see it
 */
export function buildScrapeConfig(targets: readonly ScrapeTarget[], keyFile: string): string {
  const server = {
    job_name: "llama-server",
    authorization: { credentials_file: keyFile },
    static_configs: targets.map((target) => entry(target, target.server)),
  };
  const node = {
    job_name: "node",
    static_configs: targets.flatMap((target) =>
      target.node === undefined ? [] : entry(target, target.node),
    ),
  };
  const jobs = node.static_configs.length > 0 ? [server, node] : [server];
  // A Pi answers late while it computes, and every scrape takes a little of its time.
  return stringify({ global: { scrape_interval: "30s", scrape_timeout: "20s" }, scrape_configs: jobs });
}

/** Labels of hosts become labels of series, with a prefix that keeps them off Prometheus's own. */
function entry({ name, group, labels }: ScrapeTarget, target: string): object {
  const own = Object.entries(labels).map(([label, value]) => [
    `label_${label.replace(/[^A-Za-z0-9_]/g, "_")}`,
    value,
  ]);
  return { targets: [target], labels: { host: name, group, ...Object.fromEntries(own) } as object };
}
