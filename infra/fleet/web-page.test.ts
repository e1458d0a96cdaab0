import { expect, test } from "vitest";
import { resolveHosts } from "../config/hosts.ts";
import { stackConfigSchema } from "../config/schema.ts";
import { checkWebPage, describeWebPage } from "./web-page.ts";

const recipe = { server: { contextLength: 512, threads: 2, parallel: 1, minTokensPerSecond: 0.5 } };

function check(config: object): void {
  const hosts = [
    { name: "pi-0", virtual: {} },
    { name: "pi-1", virtual: {}, server: { ui: true } },
  ];
  const parsed = stackConfigSchema.parse({ recipe: "x", hosts, ...config });
  const placed = parsed.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
  checkWebPage(
    parsed,
    resolveHosts(placed, parsed, () => recipe),
  );
}

test("behind an endpoint all hosts have the web page, or none", () => {
  check({});
  const endpoint = { host: "pi-0" };
  check({ endpoint, server: { ui: true } });
  check({ endpoint, hosts: [{ name: "pi-0", virtual: {} }] });
  expect(() => {
    check({ endpoint });
  }).toThrow(
    "pipress:hosts[0].server.ui: pi-0 has no web page, and others behind the endpoint have one — set `pipress:server.ui` for all of them",
  );
});

test("its size and time are said", () => {
  const page = { bytes: 9_462_000, seconds: 95 };
  expect(describeWebPage(page, false)).toBe("web page: 9.46 MB, built in 1 min 35 s");
  expect(describeWebPage(page, true)).toBe("web page: 9.46 MB, built in 1 min 35 s earlier");
});
