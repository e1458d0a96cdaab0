import { describe, expect, it } from "vitest";
import type { PlannedStage } from "../stage/planned.ts";
import type { HostState, NoState } from "./host-state.ts";
import { formatHosts, formatStatus, parseJobs } from "./status.ts";

const stage = (name: string, digit: string, artifact?: object): PlannedStage =>
  ({ name, stage: name, key: digit.repeat(64), params: {}, inputs: {}, artifact }) as unknown as PlannedStage;

describe("formatStatus", () => {
  it("shows each stage as stored, at work or missing, the hosts and what was spent", () => {
    const text = formatStatus({
      stack: "home",
      model: "recipe tiny",
      store: "s3://b/p",
      builder: "gpu.local",
      stages: [
        stage("fetch", "a", { seconds: 54, costUsd: 0.5 }),
        stage("prune", "b"),
        stage("quantize", "c"),
      ],
      jobs: parseJobs("bbbbbbbbbbbb  prune 45 % · layer 3\nno jobs in /x\n"),
      report: {
        model: "recipe tiny",
        release: "d".repeat(64),
        stages: [],
        models: [],
        hosts: [
          {
            host: "pi-0",
            baseUrl: "http://pi/v1",
            tokensPerSecond: 4.25,
            loadSeconds: 1,
            answer: "",
            warnings: [],
          },
        ],
      },
    });
    expect(text.split("\n").map((line) => line.trim().replace(/ {2,}/g, " | "))).toEqual([
      "stack home, recipe tiny",
      "store s3://b/p",
      "builder gpu.local",
      "",
      "stage | key | took | state",
      "fetch | aaaaaaaaaaaa | 54 s | in the store",
      "prune | bbbbbbbbbbbb | prune 45 % · layer 3",
      "quantize | cccccccccccc | missing: the next `up` makes it",
      "",
      "host | release | rolled out | runs for | tokens/s | now | requests | °C | base URL",
      "pi-0 | dddddddddddd | 4.3 | http://pi/v1",
      "",
      "spent on what is in the store: 54 s of work, $0.50",
    ]);
  });

  it("says when the builder does not answer and nothing is rolled out", () => {
    const base = {
      stack: "s",
      model: "recipe r",
      store: "file:///s",
      builder: "gpu",
      stages: [stage("fetch", "a")],
    };
    const text = formatStatus({ ...base, jobs: undefined, report: undefined });
    expect(text).toContain("builder gpu (does not answer)");
    expect(text).toContain("hosts: nothing rolled out yet");
  });

  it("shows EC2 instances that run or ran, why they ended, and what they have cost", () => {
    const record = {
      type: "g6e.2xlarge",
      lifecycle: "spot",
      began: 0,
      until: 5400,
      usdPerHour: 2,
      costUsd: 3,
    };
    const instances = [
      { ...record, name: "gpu" as const, instance: "i-1", state: "ended" as const, why: "its jobs are done" },
    ];
    const text = formatStatus({
      ...{
        stack: "s",
        model: "recipe r",
        store: "s3://b/p",
        builder: "EC2 instances in us-east-1",
        stages: [],
      },
      ...{ jobs: new Map(), report: undefined, instances },
    });
    expect(text.replace(/ {2,}/g, " | ")).toContain(
      "gpu | i-1 | g6e.2xlarge | spot | 1 h 30 min | $3.00 | its jobs are done",
    );
    expect(text).toContain("instances of this stack have cost $3.00 so far");
  });
});

describe("formatHosts", () => {
  const figures = { baseUrl: "http://pi/v1", warnings: [], tokensPerSecond: 4.25 };
  const lineOf = (said?: HostState | NoState, problem?: string): string => {
    const hosts = [{ host: "pi-0", ...figures, ...(problem !== undefined && { problem }) }];
    const report = { model: "recipe r", release: "d".repeat(64), stages: [], models: [], hosts };
    const states = new Map(said === undefined ? [] : [["pi-0", said]]);
    const [, line = ""] = formatHosts(report, states, 1_000_000).split("\n");
    return line.trim().replace(/ {2,}/g, " | ");
  };
  const state = { service: "active", startedAt: 1_000_000 - 7500, release: `${"e".repeat(64)}-ab` };

  it("shows what a host serves, for how long, how fast it is, and how warm", () => {
    const said = {
      ...state,
      rolledOutAt: 0,
      tokensPerSecond: 3.96,
      requests: 2,
      celsius: 61.2,
      throttled: 0x50000,
    };
    expect(lineOf(said)).toMatch(
      /^pi-0 \| eeeeeeeeeeee \| 19(70|69)-\d\d-\d\d \d\d:\d\d \| 2 h 05 min \| 4\.3 \| 4\.0 \| 2 \| 61 \| http:\/\/pi\/v1$/,
    );
  });

  it.each<[HostState | NoState, string]>([
    [{ problem: "unreachable" }, "unreachable"],
    [{ ...state, service: "failed" }, "llama-server is failed"],
    [{}, "llama-server is not there"],
    [{ ...state, throttled: 0x5 }, "the firmware reports under-voltage, throttled"],
  ])("shows what is wrong: %j", (said, what) => {
    expect(lineOf(said).endsWith(what)).toBe(true);
  });

  it("shows how the last rollout ended where the host is not asked", () => {
    expect(lineOf(undefined, "failed: no").endsWith("failed: no")).toBe(true);
  });
});
