/** One graph: its title, unit as Grafana names it, and queries by legend. */
interface Graph {
  title: string;
  unit: string;
  queries: Record<string, string>;
}

/** What the dashboard shows, from llama-server's, the node exporter's and pipress's own figures. */
export const graphs: readonly Graph[] = [
  {
    title: "Generation speed",
    unit: "short",
    queries: {
      "{{host}}":
        'rate(llamacpp:tokens_predicted_total{host=~"$host"}[5m]) / (rate(llamacpp:tokens_predicted_seconds_total{host=~"$host"}[5m]) > 0)',
      "{{host}} at its health check": 'pipress_health_check_tokens_per_second{host=~"$host"}',
    },
  },
  {
    title: "Prompt speed",
    unit: "short",
    queries: {
      "{{host}}":
        'rate(llamacpp:prompt_tokens_total{host=~"$host"}[5m]) / (rate(llamacpp:prompt_seconds_total{host=~"$host"}[5m]) > 0)',
    },
  },
  {
    title: "Requests",
    unit: "short",
    queries: {
      "{{host}} at work": 'llamacpp:requests_processing{host=~"$host"}',
      "{{host}} waiting": 'llamacpp:requests_deferred{host=~"$host"}',
    },
  },
  {
    title: "Tokens in the last hour",
    unit: "short",
    queries: {
      "{{host}}": 'increase(llamacpp:tokens_predicted_total{host=~"$host"}[1h])',
    },
  },
  {
    title: "Temperature",
    unit: "celsius",
    queries: { "{{host}}": 'pipress_temperature_celsius{host=~"$host"}' },
  },
  {
    title: "Throttling and under-voltage",
    unit: "bool",
    queries: { "{{host}} {{condition}}": 'pipress_throttled{host=~"$host"}' },
  },
  {
    title: "Memory available",
    unit: "bytes",
    queries: { "{{host}}": 'node_memory_MemAvailable_bytes{host=~"$host"}' },
  },
  {
    title: "Disk free",
    unit: "bytes",
    queries: { "{{host}}": 'node_filesystem_avail_bytes{host=~"$host",mountpoint="/"}' },
  },
  {
    title: "Releases that serve",
    unit: "short",
    queries: { "{{release}}": "count by (release) (pipress_release_info)" },
  },
  {
    title: "Servers that answer",
    unit: "bool",
    queries: { "{{host}}": 'up{job="llama-server",host=~"$host"}' },
  },
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
          ...{ name: "host", type: "query", datasource: source, refresh: 2, multi: true, includeAll: true },
          query: 'label_values(up{job="llama-server"}, host)',
          current: { text: "All", value: "$__all" },
        },
      ],
    },
    panels: graphs.map((graph, index) => ({
      id: index + 1,
      type: "timeseries",
      title: graph.title,
      datasource: source,
      fieldConfig: { defaults: { unit: graph.unit, min: 0 }, overrides: [] },
      gridPos: { w: width, h: height, x: (index % 2) * width, y: Math.floor(index / 2) * height },
      targets: Object.entries(graph.queries).map(([legendFormat, expr], number) => ({
        refId: String.fromCharCode(65 + number),
        datasource: source,
        expr,
        legendFormat,
      })),
    })),
  };
}
