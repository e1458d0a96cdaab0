import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { buildDashboard, graphs } from "./dashboard.ts";
import { buildScrapeConfig } from "./prometheus.ts";

describe("buildScrapeConfig", () => {
  it("scrapes every server with the key and every node exporter without", () => {
    const config = parse(
      buildScrapeConfig(
        [
          {
            name: "pi-1",
            group: "attic",
            labels: { "ring-no": "2" },
            server: "pi-1:8080",
            node: "pi-1:9100",
          },
          { name: "pi-2", labels: {}, server: "[fe80::1]:8080" },
        ],
        "/etc/prometheus/pipress-key",
      ),
    ) as { scrape_configs: unknown[] };
    const labels = { host: "pi-1", group: "attic", label_ring_no: "2" };
    expect(config.scrape_configs).toEqual([
      {
        job_name: "llama-server",
        authorization: { credentials_file: "/etc/prometheus/pipress-key" },
        static_configs: [
          { targets: ["pi-1:8080"], labels },
          { targets: ["[fe80::1]:8080"], labels: { host: "pi-2" } },
        ],
      },
      { job_name: "node", static_configs: [{ targets: ["pi-1:9100"], labels }] },
    ]);
  });
});

describe("buildDashboard", () => {
  it("places every graph once, none over another, with one query per legend", () => {
    const { panels } = buildDashboard() as {
      panels: { gridPos: { x: number; y: number; w: number }; targets: { refId: string }[] }[];
    };
    expect(panels).toHaveLength(graphs.length);
    expect(new Set(panels.map(({ gridPos }) => `${gridPos.x},${gridPos.y}`)).size).toBe(panels.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
    expect(panels[0]?.targets.map(({ refId }) => refId)).toEqual(["A", "B"]);
  });
});
