import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, expect, it } from "vitest";
import { awsBuilder } from "../../config/aws-schema.ts";
import { repoRoot } from "../../../common/paths.ts";
import { instanceSettings, userData } from "./user-data.ts";

const folder = mkdtempSync(join(tmpdir(), "pipress-user-data-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

const aws = awsBuilder.parse({
  region: "us-east-1",
  maxCostUsd: 20,
  maxDuration: "2.5 h",
  gpu: { types: ["g6e.2xlarge"], disk: "100 GB" },
  prices: { "g6e.2xlarge": { onDemand: 3, spot: 1 } },
});
const settings = instanceSettings({
  ...{ aws, stack: "it's", store: "s3://models/team/p?region=eu-west-1", instance: "gpu", hasToken: true },
  dnsSuffix: "amazonaws.com",
});

it("tells an instance its prices with the disk, and when it is to end", () => {
  expect(settings).toMatchObject({
    queue: "it's/gpu",
    gpu: true,
    usdPerHour: { "g6e.2xlarge": { "on-demand": 3.011, spot: 1.011 } },
    tokenParameter: "/pipress/it's/hugging-face-token",
    limits: {
      stallTimeoutSeconds: 1800,
      gpuIdleTimeoutSeconds: 1200,
      idleTimeoutSeconds: 300,
      maxSeconds: 9000,
      maxCostUsd: 20,
    },
  });
});

it("reaches the instance's Python as it was meant, whatever is in it", async () => {
  const script = userData(settings, { path: "boxes/x/source/1.tar.gz", sha256: "ab" });
  const [first, ...lines] = script.split("\n");
  expect(first).toBe("#!/bin/bash");
  const assignments = lines.slice(0, 7).join("\n");
  expect(assignments).toContain(
    "source_url='https://s3.eu-west-1.amazonaws.com/models/team/p/boxes/x/source/1.tar.gz'",
  );
  expect(assignments).toContain("max_minutes='150'");
  writeFileSync(join(folder, "variables.sh"), `${assignments}\nprintf '%s' "$settings" > settings.json\n`);
  await execa("bash", ["variables.sh"], { cwd: folder });
  expect(JSON.parse(readFileSync(join(folder, "settings.json"), "utf8"))).toEqual(settings);
  const read = `import sys; from pathlib import Path; from pipress.cloud.settings import read_settings; s = read_settings(Path(sys.argv[1])); print(s.queue, s.price("g6e.2xlarge", "spot"), s.price("new.type", "on-demand"), s.limits.max_seconds)`;
  const { stdout } = await execa("python3", ["-c", read, join(folder, "settings.json")], {
    env: { PYTHONPATH: join(repoRoot, "models") },
  });
  expect(stdout).toBe("it's/gpu 1.011 3.011 9000");
});
