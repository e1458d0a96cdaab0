/** One graph: its title, unit as Grafana names it, and queries by legend. */
type Graph = readonly [title: string, unit: string, queries: Readonly<Record<string, string>>];

/** Tokens per second of work, from llama-server's counters of tokens and of seconds. */
const speed = (tokens: string, seconds: string): string =>
  `rate(llamacpp:${tokens}_total{host=~"$host"}[5m]) / (rate(llamacpp:${seconds}_total{host=~"$host"}[5m]) > 0)`;

/** What the dashboard shows, from llama-server's, the node exporter's and pipress's own figures. */
export const graphs: readonly Graph[] = [
  [
    "Generation speed",
    "short",
    {
      "{{host}}": speed("tokens_predicted", "tokens_predicted_seconds"),
      "{{host}} at its health check": 'pipress_health_check_tokens_per_second{host=~"$host"}',
    },
  ],
  ["Prompt speed", "short", { "{{host}}": speed("prompt_tokens", "prompt_seconds") }],
  [
    "Requests",
    "short",
    {
      "{{host}} at work": 'llamacpp:requests_processing{host=~"$host"}',
      "{{host}} waiting": 'llamacpp:requests_deferred{host=~"$host"}',
    },
  ],
  [
    "Tokens in the last hour",
    "short",
    { "{{host}}": 'increase(llamacpp:tokens_predicted_total{host=~"$host"}[1h])' },
  ],
  ["Temperature", "celsius", { "{{host}}": 'pipress_temperature_celsius{host=~"$host"}' }],
  ["Throttling and under-voltage", "bool", { "{{host}} {{condition}}": 'pipress_throttled{host=~"$host"}' }],
  ["Memory available", "bytes", { "{{host}}": 'node_memory_MemAvailable_bytes{host=~"$host"}' }],
  ["Disk free", "bytes", { "{{host}}": 'node_filesystem_avail_bytes{host=~"$host",mountpoint="/"}' }],
  ["Releases that serve", "short", { "{{release}}": "count by (release) (pipress_release_info)" }],
  ["Servers that answer", "bool", { "{{host}}": 'up{job="llama-server",host=~"$host"}' }],
];

const width = 12;
const height = 8;

/** A Grafana dashboard, ready for "Import": it asks for the Prometheus data source and lets one choose hosts. */
export function buildDashboard(): object {
  const source = { type: "prometheus", uid: "${DS_PROMETHEUS}" };
  return {
    __inputs: [{ name: "DS_PROMETHEUS", label: "Prometheus", type: "datasource", pluginId: "prometheus" }],
    title: "pipress fleet",
    uid: "pipress-fleet",
    schemaVersion: 39,
    refresh: "1m",
    time: { from: "now-6h", to: "now" },
    templating: {
      list: [
        {
          name: "host",
          type: "query",
          datasource: source,
          refresh: 2,
          multi: true,
          includeAll: true,
          query: 'label_values(up{job="llama-server"}, host)',
          current: { text: "All", value: "$__all" },
        },
      ],
    },
    panels: graphs.map(([title, unit, queries], index) => ({
      id: index + 1,
      type: "timeseries",
      title,
      datasource: source,
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      gridPos: { w: width, h: height, x: (index % 2) * width, y: Math.floor(index / 2) * height },
      targets: Object.entries(queries).map(([legendFormat, expr], number) => ({
        refId: String.fromCharCode(65 + number),
        datasource: source,
        expr,
        legendFormat,
      })),
    })),
  };
}
