import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CompressionResults } from "../../bench/compression/results.ts";
import { readResults, type Results } from "../../bench/results.ts";
import type { Row } from "../../bench/rows.ts";
import { repoRoot } from "../../common/paths.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";

type CompressionRow = CompressionResults["rows"][number];
type Format = (value: number) => string;
type Field = "value" | "baselineValue" | "baseline" | "ratio";
/** A figure under its head: ours or what it is compared with, in its unit unless a format is given. */
type Column = [head: string, metric: string, field?: Field, format?: Format];

const NONE = "–";
const fixed =
  (digits: number, unit = ""): Format =>
  (value) =>
    value.toFixed(digits) + unit;
const thousands: Format = (value) => Math.round(value).toLocaleString("en-US");
const perplexity: Format = (value) => (value < 1000 ? value.toFixed(1) : thousands(value));
const units: Record<string, Format> = {
  s: formatDuration,
  bytes: formatBytes,
  "bytes/s": (value) => `${formatBytes(value)}/s`,
  "tokens/s": (value) => `${thousands(value)} tokens/s`,
  nats: fixed(3),
};

/** The tables of docs/benchmarks.md and of the README, by the name that a page has them under. */
export const benchTables: Record<string, () => string> = {
  runs: runsTable,
  figures: () =>
    byFigure(
      "8b",
      ["Llama 3.1 8B, pruned by 16 %, Q4_K_S", "measured", "predicted"],
      [
        ["GGUF file", "quantize", "file_bytes"],
        ["llama-server's memory, 4,096 tokens of context", "llama-server", "peak_rss_bytes"],
        ["llama-server ready after its start, emulated Pi", "llama-server ready, emulated", "seconds"],
        ["`prune` (`ffn-activation`) on one H100", "prune by ffn-activation on a GPU", "seconds"],
      ],
    ),
  "8b": () =>
    byFigure(
      "8b",
      ["", "measured", "predicted"],
      [
        ["file, bf16", "convert", "file_bytes"],
        ["file, Q4_K_S", "quantize", "file_bytes"],
        ["llama-server's memory, 4,096 tokens of context", "llama-server", "peak_rss_bytes"],
        ["llama-server ready, emulated Pi", "llama-server ready, emulated", "seconds"],
        ...["prune by ffn-activation", "convert", "quantize"].flatMap<[string, string, string]>((name) => [
          [`${name}, time on two cores`, name, "seconds"],
          [`${name}, memory of its own`, name, "peak_anonymous_bytes"],
        ]),
      ],
    ),
  "8b-layers": () =>
    byCase("8b", "two layers", /^(.*), 2 layers$/, [
      ["time", "seconds"],
      ["predicted", "seconds", "baselineValue"],
      ["memory of its own", "peak_anonymous_bytes"],
    ]),
  "8b-gpu": () =>
    byCase("8b", "on one H100", /^(.*) on a GPU$/, [
      ["time", "seconds"],
      ["predicted", "seconds", "baselineValue"],
      ["GPU memory", "peak_gpu_bytes"],
      ["speed", "train_tokens_per_second"],
    ]),
  fleet: () =>
    byCase("fleet", "hosts", /^(\d+) hosts?, .*$/, [
      ["rollout", "rollout_seconds", "value", fixed(1, " s")],
      ["Ansible", "rollout_seconds", "baselineValue", fixed(1, " s")],
      ["ratio", "rollout_seconds", "ratio"],
      ["no change", "noop_seconds", "value", fixed(1, " s")],
      ["Ansible", "noop_seconds", "baselineValue", fixed(1, " s")],
      ["memory", "peak_rss_bytes"],
      ["Ansible", "peak_rss_bytes", "baselineValue"],
    ]),
  store: () =>
    byFigure(
      "store",
      ["4.00 GB", "pipress", "AWS CLI", "ratio"],
      [
        ["upload", "4.00 GB", "put_bytes_per_second"],
        ["download", "4.00 GB", "get_bytes_per_second"],
        ["peak memory", "4.00 GB", "peak_rss_bytes"],
      ],
    ),
  pruning: () => methodsTable("pruning"),
  recovery: () => methodsTable("recovery"),
  minutes: () =>
    byCase("compression/minutes", "", /^10 %, 10 minutes, (.*)$/, [
      ["perplexity", "perplexity", "value", fixed(2)],
      ["nats above the base", "nats_above_base"],
      ["KL divergence", "kld"],
      ["time", "seconds"],
      ["tokens", "tokens", "value", thousands],
    ]),
  quantization: quantizationTable,
  objective: () =>
    byCase("compression/target", "at most", /^search, at most (\d+) bytes$/, [
      ["best standard type", "kld", "baseline"],
      ["its KL divergence", "kld", "baselineValue", fixed(4)],
      ["the mix", "kld", "value", fixed(4)],
      ["ratio", "kld", "ratio"],
    ]),
  board: () => boardTable(/^(Q8_0|Q6_K|Q5_K_M|Q4_K_M|Q4_K_S|Q4_0|Q3_K_M|Q3_K_S|IQ3_M)$/),
  "board-short": () => boardTable(/^Q[34]_K_S$/),
};

/** Markdown, which prettier lines up; figures to the right. Figures that nothing was measured for are an error. */
function table(head: readonly string[], lines: readonly string[][]): string {
  for (const [label = "", ...cells] of [...lines, ...transposed([head, ...lines]).slice(1)])
    if (cells.every((cell) => cell === NONE)) throw new Error(`no result has figures for "${label}"`);
  const areFigures = (_: string, column: number): boolean =>
    lines.every((cells) => cells[column] === NONE || /^\W*\d/.test(cells[column] ?? ""));
  const rule = head.map(areFigures).map((isRight) => (isRight ? "---:" : "---"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function transposed(lines: readonly (readonly string[])[]): string[][] {
  return (lines[0] ?? []).map((_, column) => lines.map((cells) => cells[column] ?? NONE));
}

function results(bench: string): Results & Partial<Pick<CompressionResults, "sections">> {
  const read = readResults(bench);
  if (read === undefined) throw new Error(`bench/results/${bench}.json is missing`);
  return read;
}

/** @param source a bench, or `compression/SECTION` */
function rowsOf(source: string): Row[] {
  const [bench = "", section] = source.split("/");
  return (results(bench).rows as Partial<CompressionRow>[]).filter((row) => row.section === section) as Row[];
}

function text(rows: Row[], name: string, metric: string, field: Field = "value", format?: Format): string {
  const row = rows.find((candidate) => candidate.case === name && candidate.metric === metric);
  const figure = row?.[field] ?? NONE;
  if (typeof figure === "string") return figure;
  return (field === "ratio" ? fixed(2) : (format ?? units[row?.unit ?? ""] ?? String))(figure);
}

/** A line for each figure: ours, what it is compared with, and their ratio where the head has room. */
function byFigure(
  source: string,
  head: string[],
  lines: [label: string, name: string, metric: string][],
): string {
  const fields = (["value", "baselineValue", "ratio"] as const).slice(0, head.length - 1);
  const figures = (name: string, metric: string): string[] =>
    fields.map((field) => text(rowsOf(source), name, metric, field));
  return table(
    head,
    lines.map(([label, name, metric]) => [label, ...figures(name, metric)]),
  );
}

/** A line for each case that matches, called by the part in brackets. */
function byCase(source: string, label: string, cases: RegExp, columns: Column[]): string {
  const rows = rowsOf(source);
  const names = [...new Set(rows.map((row) => row.case))].filter((name) => cases.test(name));
  return table(
    [label, ...columns.map(([head]) => head)],
    names.map((name) => [
      // A case that is a size is written with its unit.
      name.replace(cases, "$1").replace(/^\d{4,}$/, (bytes) => formatBytes(Number(bytes))),
      ...columns.map(([, ...figure]) => text(rows, name, ...figure)),
    ]),
  );
}

function runsTable(): string {
  const lines = ["8b", "fleet", "store", "compression"].flatMap((bench) => {
    const { rows, sections, ...last } = results(bench);
    return (rows as CompressionRow[]).map(({ section, run = sections?.[section] ?? last }) => {
      const name = `\`bench:${bench}\`${sections === undefined ? "" : `, ${section}`}`;
      return [name, run.date, run.commit, run.machine.replaceAll(/\(R\)| Processor| 80GB HBM3/g, "")].join(
        "|",
      );
    });
  });
  const distinct = [...new Set(lines)].map((line) => line.split("|"));
  return table(["measured by", "date", "commit", "machine"], distinct);
}

/** The methods' names where they are not those of a recipe; ours stand first. */
const ours = "ffn-second-order mixed ffn-activation block-influence angular-distance attention-groups".split(
  " ",
);
const others: Record<string, string> = {
  "torch-pruning-taylor": "Torch-Pruning, Taylor",
  "prune-layers": "`llama-quantize --prune-layers`",
  random: "FFN channels at random",
  magnitude: "FFN channels by magnitude",
  "torch-pruning": "Torch-Pruning, magnitude",
};

/** Perplexity by method and by how much was removed; the lowest of a column in bold. */
function methodsTable(section: string): string {
  const ratios = ["5 %", "10 %", "20 %", "30 %"];
  const rows = rowsOf(`compression/${section}`).map((row) => ({
    ...row,
    case: row.case.replace(/ \([\d.]+ %\)$/, ""),
  }));
  const lines = [...ours, ...Object.keys(others)]
    .filter((method) => rows.some((row) => row.case.endsWith(`, ${method}`)))
    .map((method) => [
      others[method] ?? `\`${method}\``,
      ...ratios.map((ratio) => text(rows, `${ratio}, ${method}`, "perplexity", "value", perplexity)),
    ]);
  return table(["", ...ratios], transposed(transposed(lines).map(withLowestBold)));
}

/** KL divergence, and perplexity in brackets; the lowest of a line in bold. */
function quantizationTable(): string {
  const rows = rowsOf("compression/quantization");
  const lines = [...new Set(rows.map((row) => row.case.split(",")[0] ?? ""))].map((type) => [
    type,
    ...["neither", "imatrix", "AWQ", "both"]
      .map((preparation) => `${type}, ${preparation}`)
      .map((name) => `${text(rows, name, "kld")} (${text(rows, name, "perplexity", "value", perplexity)})`),
  ]);
  return table(["type", "neither", "`imatrix`", "`awq`", "both"], lines.map(withLowestBold));
}

function withLowestBold(cells: string[]): string[] {
  const numbers = cells.map((cell) => parseFloat(cell.replaceAll(",", "")));
  const lowest = Math.min(...numbers.filter((number) => !Number.isNaN(number)));
  return cells.map((cell, index) => (numbers[index] === lowest ? cell.replace(/^\S+/, "**$&**") : cell));
}

/** Rows of llama-bench on somebody's Raspberry Pi 4B: prompts of 512 tokens, 128 generated ones. */
function boardTable(types: RegExp): string {
  const csv = readFileSync(join(repoRoot, "bench", "published", "raspberry-pi-4b.csv"), "utf8");
  const rows = csv
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));
  return table(
    ["model", "type", "file", "prompt", "generation"],
    rows
      .filter(([, type = ""]) => types.test(type))
      .map(([model = "", type = "", , bytes, , , ...speeds]) => [
        ...[model, type, formatBytes(Number(bytes))],
        ...speeds.map((speed) => fixed(1, " tokens/s")(Number(speed))),
      ]),
  );
}
