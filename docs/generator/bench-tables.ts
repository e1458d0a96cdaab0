import { OURS, PEERS } from "../../bench/compression/methods.ts";
import { readResults } from "../../bench/results.ts";
import { formatFigure, type Row } from "../../bench/rows.ts";
import { boardFile, readMeasuredRows } from "../../bench/speed-model/rows.ts";
import { formatBytes } from "../../common/units.ts";

type Field = "value" | "baselineValue" | "baseline" | "ratio";
/** A figure under its head: ours, or what it is compared with. */
type Column = [head: string, metric: string, field?: Field];

const NONE = "–";
const time: Column[] = [
  ["time", "seconds"],
  ["predicted", "seconds", "baselineValue"],
];

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
    byCase("8b", "on two cores", /^(prune by ffn-activation|convert|quantize|.*, 2 layers)$/, [
      ...time,
      ["memory of its own", "peak_anonymous_bytes"],
      ["file", "file_bytes"],
      ["predicted", "file_bytes", "baselineValue"],
    ]),
  "8b-gpu": () =>
    byCase("8b", "on one H100", /^(.*) on a GPU$/, [
      ...time,
      ["GPU memory", "peak_gpu_bytes"],
      ["speed", "train_tokens_per_second"],
    ]),
  fleet: () =>
    byCase("fleet", "hosts", /^(\d+(?: reckoned)?) hosts?, .*$/, [
      ["rollout", "rollout_seconds"],
      ["Ansible", "rollout_seconds", "baselineValue"],
      ["ratio", "rollout_seconds", "ratio"],
      ["no change", "noop_seconds"],
      ["Ansible", "noop_seconds", "baselineValue"],
      ["memory", "peak_rss_bytes"],
      ["Ansible", "peak_rss_bytes", "baselineValue"],
    ]),
  up: () =>
    readResults("up").length === 0
      ? "Not measured yet."
      : byCase("up", "`up`", /^(no change)$/, [
          ["dev stack", "seconds"],
          ["bare Pulumi program", "seconds", "baselineValue"],
          ["ratio", "seconds", "ratio"],
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
  "ffn-widths": () =>
    byCase("compression/ffn-widths", "removed", /^(.*), per layer$/, [
      ["one width", "kld", "baselineValue"],
      ["a width per layer", "kld"],
      ["±", "kld_error"],
      ["ratio", "kld", "ratio"],
    ]),
  minutes: () =>
    byCase("compression/minutes", "", /^10 %, 10 minutes, (.*)$/, [
      ["perplexity", "perplexity"],
      ["nats above the base", "nats_above_base"],
      ["KL divergence", "kld"],
      ["time", "seconds"],
      ["tokens", "tokens"],
    ]),
  quantization: quantizationTable,
  "mixed-precision": () =>
    byCase("compression/mixed-precision", "at most", /^search, at most (\d+) bytes$/, [
      ["best standard type", "kld", "baseline"],
      ["its KL divergence", "kld", "baselineValue"],
      ["the mix", "kld"],
      ["ratio", "kld", "ratio"],
    ]),
  "recovery-types": () =>
    byCase("recovery-types", "", /^(.* bits a weight, aware against .*)$/, [
      ["without", "kld", "baseline"],
      ["its nats", "kld", "baselineValue"],
      ["aware", "kld"],
      ["ratio", "kld", "ratio"],
      ["±", "kld_ratio_error"],
    ]),
  a72: kernelsTable,
  speculation: speculationTable,
  "speculation-types": speculationTypesTable,
  "draft-models": draftModelsTable,
  mutation: () => byCase("mutation", "code", /^(.*)$/, [["noticed", "killed_share"]]),
  board: () => boardTable(/^(Q8_0|Q6_K|Q5_K_M|Q4_K_M|Q4_K_S|Q4_0|Q3_K_M|Q3_K_S|IQ3_M)$/),
  "board-short": () => boardTable(/^Q[34]_K_S$/),
};

/** Markdown, which prettier lines up; figures to the right. Figures that nothing was measured for are an error. */
export function table(head: readonly string[], lines: readonly string[][]): string {
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

/** @param source a bench, or `compression/SECTION` */
function rowsOf(source: string): Row[] {
  const [bench = "", section] = source.split("/");
  return readResults(bench)
    .filter((run) => run.section === section)
    .flatMap((run) => run.rows);
}

function text(rows: Row[], name: string, metric: string, field: Field = "value"): string {
  const row = rows.find((candidate) => candidate.case === name && candidate.metric === metric);
  const figure = row?.[field];
  if (row === undefined || figure === undefined) return NONE;
  if (typeof figure === "string") return figure;
  return field === "ratio" ? figure.toFixed(2) : formatFigure(figure, row.unit);
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
  if (rows.length === 0) return "Not measured yet.";
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
  const lines = [
    "8b",
    "a72",
    "speculation",
    "fleet",
    "up",
    "store",
    "compression",
    "recovery-types",
    "mutation",
  ].flatMap((bench) => {
    const command = bench === "mutation" ? "test:mutation" : `bench:${bench}`;
    const runs = readResults(bench).map(({ section, date, commit, machine }) => [
      `\`${command}\`${section === undefined ? "" : `, ${section}`}`,
      date,
      commit,
      machine.replaceAll(/\(R\)| Processor| 80GB HBM3/g, ""),
    ]);
    return runs.length === 0 ? [[`\`${command}\``, "not yet", NONE, NONE]] : runs;
  });
  return table(["measured by", "date", "commit", "machine"], lines);
}

/** Perplexity by method and by how much was removed; the lowest of a column in bold. */
function methodsTable(section: string): string {
  const ratios = ["5 %", "10 %", "20 %", "30 %"];
  const rows = rowsOf(`compression/${section}`).map((row) => ({
    ...row,
    case: row.case.replace(/ \([\d.]+ %\)$/, ""),
  }));
  const lines = [...OURS, ...Object.keys(PEERS)]
    .filter((method) => rows.some((row) => row.case.endsWith(`, ${method}`)))
    .map((method) => [
      PEERS[method] ?? `\`${method}\``,
      ...ratios.map((ratio) => text(rows, `${ratio}, ${method}`, "perplexity")),
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
      .map((name) => `${text(rows, name, "kld")} (${text(rows, name, "perplexity")})`),
  ]);
  return table(["type", "neither", "`imatrix`", "`awq`", "both"], lines.map(withLowestBold));
}

function withLowestBold(cells: string[]): string[] {
  const numbers = cells.map((cell) => parseFloat(cell.replaceAll(",", "")));
  const lowest = Math.min(...numbers.filter((number) => !Number.isNaN(number)));
  return cells.map((cell, index) => (numbers[index] === lowest ? cell.replace(/^\S+/, "**$&**") : cell));
}

/** Cycles of a Cortex-A72 per weight and column, by type of the weights. */
function kernelsTable(): string {
  const rows = rowsOf("a72");
  if (rows.length === 0) return "Not measured yet.";
  const types = rows.flatMap(({ case: name }) => /^prompt (.*)$/.exec(name)?.[1] ?? []);
  return table(
    ["type", "llama.cpp", "prompt", "ratio", "generation", "ratio"],
    [...new Set(types)].map((type) => [
      type,
      text(rows, `prompt ${type}`, "cycles_per_weight", "baselineValue"),
      ...["prompt", "generation"].flatMap((use) =>
        (["value", "ratio"] as const).map((field) =>
          text(rows, `${use} ${type}`, "cycles_per_weight", field),
        ),
      ),
    ]),
  );
}

const KINDS = ["copying", "json", "summarising", "free text"];

/** How many times as fast a Raspberry Pi 4 is predicted to write the answers of each kind, by what drafts. */
function speculationTable(): string {
  const rows = rowsOf("speculation");
  const drafters = rows.flatMap(({ case: name }) => {
    const [drafter = "", , answers] = name.split(", ");
    return answers === "written" ? [drafter] : [];
  });
  if (drafters.length === 0) return "Not measured yet.";
  return table(
    ["drafted by", ...KINDS],
    [...new Set(drafters)].map((drafter) => [
      drafter,
      ...KINDS.map((kind) => speedupText(rows, `${drafter}, ${kind}, written, Q4_K_M asPrompts`)),
    ]),
  );
}

/** The same of the drafter that the default has, by type of the weights and by what a batch is taken to cost. */
function speculationTypesTable(): string {
  const rows = rowsOf("speculation");
  if (rows.length === 0) return "Not measured yet.";
  const lines = ["Q4_K_M", "Q3_K_M", "IQ3_M"].flatMap((type) =>
    [
      ["a prompt's", "asPrompts"],
      ["as counted", "asCounted"],
    ].map(([said = "", cost = ""]) => [
      type,
      said,
      ...KINDS.map((kind) => speedupText(rows, `ngram-mod 3+2, ${kind}, written, ${type} ${cost}`)),
    ]),
  );
  return table(["type", "columns cost", ...KINDS], lines);
}

function speedupText(rows: Row[], name: string): string {
  const find = (metric: string) => rows.find((row) => row.case === name && row.metric === metric);
  const [seconds, error] = [find("seconds"), find("speedup_error")];
  if (seconds?.baselineValue === undefined || error === undefined) return NONE;
  return `${(seconds.baselineValue / seconds.value).toFixed(2)} ± ${error.value.toFixed(2)}`;
}

/** Predicted gain of a draft model, by how many of its tokens are assumed to be accepted. */
function draftModelsTable(): string {
  const rows = rowsOf("speculation");
  const pairs = rows.flatMap(({ case: name }) => /^(.* with .*), \d+ % accepted/.exec(name)?.[1] ?? []);
  if (pairs.length === 0) return "Not measured yet.";
  const shares = ["50 %", "60 %", "70 %", "80 %"];
  return table(
    ["model with draft model", ...shares],
    [...new Set(pairs)].map((pair) => [
      pair,
      ...shares.map((share) =>
        text(rows, `${pair}, ${share} accepted, asPrompts`, "tokens_per_second", "ratio"),
      ),
    ]),
  );
}

/** Rows of llama-bench on somebody's Raspberry Pi 4B: prompts of 512 tokens, 128 generated ones. */
function boardTable(types: RegExp): string {
  const speed = (tokensPerSecond = NaN): string => `${tokensPerSecond.toFixed(1)} tokens/s`;
  return table(
    ["model", "type", "file", "prompt", "generation"],
    readMeasuredRows(boardFile)
      .filter(({ type }) => types.test(type))
      .map(({ model, type, fileBytes = NaN, prompt, generation }) => [
        model,
        type,
        formatBytes(fileBytes),
        speed(prompt),
        speed(generation),
      ]),
  );
}
