import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CompressionResults } from "../../bench/compression/results.ts";
import { readResults, type Results, type Row, type Run } from "../../bench/results.ts";
import { repoRoot } from "../../common/paths.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";

type Cell = string;

/** The tables of docs/benchmarks.md and of the README, by the name that a page has them under. */
export function benchTables(): Record<string, () => string> {
  return {
    runs: runsTable,
    "8b": eightBTable,
    "8b-layers": eightBLayersTable,
    "8b-gpu": eightBGpuTable,
    fleet: fleetTable,
    store: storeTable,
    pruning: () => perplexityTable("pruning"),
    recovery: () => perplexityTable("recovery"),
    minutes: minutesTable,
    quantization: quantizationTable,
    objective: objectiveTable,
    board: () =>
      boardTable(["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q4_0", "Q3_K_M", "Q3_K_S", "IQ3_M"]),
    "board-short": () => boardTable(["Q4_K_S", "Q3_K_S"]),
    figures: figuresTable,
  };
}

/** Markdown, which prettier lines up. @param alignment `l` or `r` for each column */
function table(head: Cell[], alignment: string, rows: Cell[][]): string {
  const line = (cells: Cell[]): string => `| ${cells.join(" | ")} |`;
  const rule = [...alignment].map((side) => (side === "r" ? "---:" : "---"));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

function results(bench: string): Results {
  const read = readResults(bench);
  if (read === undefined) throw new Error(`bench/results/${bench}.json is missing`);
  return read;
}

const compression = (): CompressionResults => results("compression") as CompressionResults;

function row(bench: Results, name: string, metric: string): Row {
  const match = bench.rows.find((candidate) => candidate.case === name && candidate.metric === metric);
  if (match === undefined) throw new Error(`bench/results/${bench.bench}.json has no ${metric} of ${name}`);
  return match;
}

/** Names of the cases, in the order in which they were measured. */
function casesOf(bench: Results): string[] {
  return [...new Set(bench.rows.map((one) => one.case))];
}

function runsTable(): string {
  const runs: [string, Run][] = [];
  for (const bench of ["8b", "fleet", "store"]) {
    const { rows, ...last } = results(bench);
    for (const one of rows) runs.push([`\`bench:${bench}\``, one.run ?? last]);
  }
  const { sections } = compression();
  for (const [section, run] of Object.entries(sections))
    runs.push([`\`bench:compression\`, ${section === "target" ? "objective" : section}`, run]);
  const lines = runs.map(([name, { date, commit, machine }]) => [
    name,
    date,
    commit,
    machine.replaceAll(/\(R\)| Processor| 80GB HBM3/g, ""),
  ]);
  const distinct = new Map(lines.map((cells) => [cells.join("\0"), cells]));
  return table(["measured by", "date", "commit", "machine"], "llll", [...distinct.values()]);
}

const stageNames: Record<string, string> = {
  "prune by ffn-activation": "`prune`, `ffn-activation`",
  convert: "`convert`",
  quantize: "`quantize`",
};

function eightBTable(): string {
  const bench = results("8b");
  const measured = (
    label: string,
    name: string,
    metric: string,
    format: (value: number) => string,
  ): Cell[] => {
    const { value, baselineValue } = row(bench, name, metric);
    return [label, format(value), baselineValue === undefined ? "" : format(baselineValue)];
  };
  return table(["", "measured", "predicted"], "lrr", [
    measured("file, bf16", "convert", "file_bytes", formatBytes),
    measured("file, Q4_K_S", "quantize", "file_bytes", formatBytes),
    measured("llama-server's memory, 4,096 tokens of context", "llama-server", "peak_rss_bytes", formatBytes),
    measured("llama-server ready, emulated Pi", "llama-server ready, emulated", "seconds", formatDuration),
    ...Object.entries(stageNames).flatMap(([name, label]) => [
      measured(`${label}, time on two cores`, name, "seconds", formatDuration),
      measured(`${label}, memory of its own`, name, "peak_anonymous_bytes", formatBytes),
    ]),
  ]);
}

function eightBLayersTable(): string {
  const bench = results("8b");
  const cases = casesOf(bench).filter((name) => name.endsWith("2 layers"));
  return table(
    ["two layers", "time", "predicted", "memory of its own"],
    "lrrr",
    cases.map((name) => {
      const { value, baselineValue = 0 } = row(bench, name, "seconds");
      const memory = row(bench, name, "peak_anonymous_bytes").value;
      return [
        name.replace(/, 2 layers$/, ""),
        formatDuration(value),
        formatDuration(baselineValue),
        formatBytes(memory),
      ];
    }),
  );
}

function eightBGpuTable(): string {
  const bench = results("8b");
  const cases = casesOf(bench).filter((name) => name.endsWith("on a GPU"));
  return table(
    ["on one H100", "time", "predicted", "GPU memory", "speed"],
    "lrrrr",
    cases.map((name) => {
      const { value, baselineValue = 0 } = row(bench, name, "seconds");
      const speed = bench.rows.find((one) => one.case === name && one.metric === "train_tokens_per_second");
      return [
        name.replace(/ on a GPU$/, ""),
        formatDuration(value),
        formatDuration(baselineValue),
        formatBytes(row(bench, name, "peak_gpu_bytes").value),
        speed === undefined ? "" : `${thousands(speed.value)} tokens/s`,
      ];
    }),
  );
}

function fleetTable(): string {
  const bench = results("fleet");
  const cases = casesOf(bench);
  const pair = ({ value, baselineValue = 0 }: Row, format: (value: number) => string): Cell[] => [
    format(value),
    format(baselineValue),
  ];
  const seconds = (value: number): string => `${value.toFixed(1)} s`;
  return table(
    ["hosts", "rollout", "Ansible", "ratio", "no change", "Ansible", "memory", "Ansible"],
    "rrrrrrrr",
    cases.map((name) => {
      const rollout = row(bench, name, "rollout_seconds");
      return [
        name.split(" ")[0] ?? "",
        ...pair(rollout, seconds),
        (rollout.ratio ?? 0).toFixed(2),
        ...pair(row(bench, name, "noop_seconds"), seconds),
        ...pair(row(bench, name, "peak_rss_bytes"), formatBytes),
      ];
    }),
  );
}

function storeTable(): string {
  const bench = results("store");
  const rate = (value: number): string => `${formatBytes(value)}/s`;
  const line = (label: string, metric: string, format: (value: number) => string): Cell[] => {
    const { value, baselineValue = 0, ratio = 0 } = row(bench, bench.rows[0]?.case ?? "", metric);
    return [label, format(value), format(baselineValue), ratio.toFixed(2)];
  };
  return table([bench.rows[0]?.case ?? "", "pipress", "AWS CLI", "ratio"], "lrrr", [
    line("upload", "put_bytes_per_second", rate),
    line("download", "get_bytes_per_second", rate),
    line("peak memory", "peak_rss_bytes", formatBytes),
  ]);
}

/** Ours first, then what they are compared with. */
const methodNames: Record<string, string> = {
  "ffn-second-order": "`ffn-second-order`",
  mixed: "`mixed`",
  "ffn-activation": "`ffn-activation`",
  "block-influence": "`block-influence`",
  "angular-distance": "`angular-distance`",
  "attention-groups": "`attention-groups`",
  "torch-pruning-taylor": "Torch-Pruning, Taylor",
  "prune-layers": "`llama-quantize --prune-layers`",
  random: "FFN channels at random",
  magnitude: "FFN channels by magnitude",
  "torch-pruning": "Torch-Pruning, magnitude",
};
const ratios = ["5 %", "10 %", "20 %", "30 %"];

/** Perplexity by method and by how much was removed; the lowest of a column in bold. */
function perplexityTable(section: string): string {
  const rows = compression().rows.filter((one) => one.section === section && one.metric === "perplexity");
  const valueOf = (method: string, ratio: string): number | undefined =>
    rows.find((one) => one.case.replace(/ \([\d.]+ %\)$/, "") === `${ratio}, ${method}`)?.value;
  const methods = Object.keys(methodNames).filter((method) => ratios.some((ratio) => valueOf(method, ratio)));
  const lowest = ratios.map((ratio) =>
    Math.min(...methods.map((method) => valueOf(method, ratio) ?? Infinity)),
  );
  return table(
    ["", ...ratios],
    "lrrrr",
    methods.map((method) => [
      methodNames[method] ?? method,
      ...ratios.map((ratio, index) => {
        const value = valueOf(method, ratio);
        if (value === undefined) return "–";
        return value === lowest[index] ? `**${perplexityText(value)}**` : perplexityText(value);
      }),
    ]),
  );
}

function perplexityText(value: number): string {
  return value < 1000 ? value.toFixed(1) : thousands(value);
}

function minutesTable(): string {
  const rows = compression().rows.filter((one) => one.section === "minutes");
  const value = (name: string, metric: string): number =>
    rows.find((one) => one.case.includes(name) && one.metric === metric)?.value ?? NaN;
  const line = (label: string, name: string): Cell[] => [
    label,
    value(name, "perplexity").toFixed(2),
    value(name, "nats_above_base").toFixed(3),
    value(name, "kld").toFixed(3),
  ];
  return table(["", "perplexity", "nats above the base", "KL divergence"], "lrrr", [
    line("pruned", "before"),
    line(
      `after ${formatDuration(value("training", "seconds"))} on ${thousands(value("training", "tokens"))} tokens`,
      "after",
    ),
    line("control: unpruned, same training", "control"),
  ]);
}

function quantizationTable(): string {
  const rows = compression().rows.filter((one) => one.section === "quantization");
  const types = [...new Set(rows.map((one) => one.case.split(", ")[0] ?? ""))];
  const methods = ["neither", "imatrix", "AWQ", "both"];
  const value = (type: string, method: string, metric: string): number =>
    rows.find((one) => one.case === `${type}, ${method}` && one.metric === metric)?.value ?? NaN;
  return table(
    ["type", "neither", "`imatrix`", "`awq`", "both"],
    "lrrrr",
    types.map((type) => {
      const lowest = Math.min(...methods.map((method) => value(type, method, "kld")));
      return [
        type,
        ...methods.map((method) => {
          const kld = value(type, method, "kld");
          const text = kld === lowest ? `**${kld.toFixed(3)}**` : kld.toFixed(3);
          return `${text} (${value(type, method, "perplexity").toFixed(1)})`;
        }),
      ];
    }),
  );
}

function objectiveTable(): string {
  const rows = compression().rows.filter((one) => one.section === "target" && one.metric === "kld");
  return table(
    ["at most", "best standard type", "its KL divergence", "the mix", "ratio"],
    "rlrrr",
    rows
      .filter((one) => one.baselineValue !== undefined)
      .map(({ case: name, value, baseline = "", baselineValue = 0, ratio = 0 }) => [
        formatBytes(Number(/\d+/.exec(name)?.[0])),
        baseline,
        baselineValue.toFixed(4),
        value.toFixed(4),
        ratio.toFixed(2),
      ]),
  );
}

/** Rows of llama-bench on somebody's Raspberry Pi 4B: prompts of 512 tokens, 128 generated ones. */
function boardTable(types: readonly string[]): string {
  const text = readFileSync(join(repoRoot, "bench", "published", "raspberry-pi-4b.csv"), "utf8");
  const rows = text.trim().split("\n").slice(1);
  return table(
    ["model", "type", "file", "prompt", "generation"],
    "llrrr",
    rows
      .map((row) => row.split(","))
      .filter(([, type = ""]) => types.includes(type))
      .map(([model = "", type = "", , bytes, , , ...speeds]) => [
        model,
        type,
        formatBytes(Number(bytes)),
        ...speeds.map((speed) => `${Number(speed).toFixed(1)} tokens/s`),
      ]),
  );
}

/** What somebody wants to know first: does it fit, and how long does one wait? */
function figuresTable(): string {
  const bench = results("8b");
  const file = row(bench, "quantize", "file_bytes");
  const memory = row(bench, "llama-server", "peak_rss_bytes");
  const ready = row(bench, "llama-server ready, emulated", "seconds");
  const prune = row(bench, "prune by ffn-activation on a GPU", "seconds");
  return table(["Llama 3.1 8B, pruned by 16 %, Q4_K_S", "measured", "predicted"], "lrr", [
    ["GGUF file", formatBytes(file.value), formatBytes(file.baselineValue ?? NaN)],
    [
      "llama-server's memory, 4,096 tokens of context",
      formatBytes(memory.value),
      formatBytes(memory.baselineValue ?? NaN),
    ],
    ["llama-server ready after its start, emulated Pi", formatDuration(ready.value), "–"],
    [
      "`prune` (`ffn-activation`) on one H100",
      formatDuration(prune.value),
      formatDuration(prune.baselineValue ?? NaN),
    ],
  ]);
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
