import { UserError, type Problem } from "../../common/user-error.ts";
import { formatWeights, parseWeights, type MultipliedWeights, type WeightsByType } from "./weights.ts";

/** What llama-bench found on the board of one host, and how the board was at that. */
export interface MeasuredRow {
  host: string;
  /** When, as ISO 8601 in UTC. */
  date: string;
  /** As the device tree calls it, e.g. `Raspberry Pi 4 Model B Rev 1.4`. */
  board: string;
  /** Name of the model, as its file says it. */
  model: string;
  /** Type of the file, e.g. `Q4_K_M`. */
  type: string;
  parameters: number;
  fileBytes: number;
  threads: number;
  /** Build of llama.cpp. */
  build: number;
  /** Tokens per second of a prompt of 512 tokens. */
  prompt: number;
  /** Tokens per second of an answer of 128 tokens. */
  generation: number;
  weights: MultipliedWeights;
  /** The highest that was seen, in degrees. */
  celsius?: number | undefined;
  /** The firmware's flags that were seen meanwhile; undefined where there is no such firmware. */
  throttled?: number | undefined;
  /** The day on which its bootloader was built. */
  bootloader?: string | undefined;
  /** Of the CPU's clock. */
  governor?: string | undefined;
  /** The median that was seen. */
  megahertz?: number | undefined;
}

/** A host of the fleet, as far as it decides which rows are about it. */
export interface MeasuredHost {
  name: string;
  /** Of its llama-server. */
  threads: number;
}

const columns = [
  ...["host", "date", "board", "model", "type", "parameters", "file_bytes", "threads", "build"],
  ...["pp512", "tg128", "layers", "attention_width", "blocks", "output"],
  ...["celsius", "throttled", "governor", "megahertz", "bootloader"],
] as const;

/** The boards that speeds are predicted for: the 4B, and what has the same processor. */
const PI_4 = /^Raspberry Pi (4|400|Compute Module 4)\b/;

/** The first line of the file. */
export const measuredHead = `${columns.join(",")}\n`;

/** A row as its line. What names hold besides is replaced by spaces where it would divide cells. */
export function formatRow({ weights, ...row }: MeasuredRow): string {
  const cells = [
    ...[row.host, row.date, row.board, row.model, row.type, row.parameters, row.fileBytes, row.threads],
    ...[row.build, row.prompt, row.generation, weights.layers, weights.attentionWidth],
    ...[formatWeights(weights.blocks), formatWeights(weights.output), row.celsius],
    ...[row.throttled === undefined ? undefined : hex(row.throttled), row.governor, row.megahertz],
    row.bootloader,
  ];
  return `${cells.map((cell) => String(cell ?? "").replace(/[",\s]+/g, " ")).join(",")}\n`;
}

/**
 * Reads rows as `formatRow` writes them, with columns in any order; what is not needed for a prediction may be missing.
 * @param where how messages call the file
 * @throws UserError with every line that is no row
 */
export function parseRows(text: string, where: string): MeasuredRow[] {
  const [head = "", ...lines] = text.split(/\r?\n/);
  const names = head.split(",").map((name) => name.trim());
  const problems: Problem[] = [];
  const rows = lines.flatMap((line, index) => {
    if (line.trim() === "") return [];
    const cells = line.split(",").map((cell) => cell.trim());
    try {
      return [rowOf((name) => cells[names.indexOf(name)] ?? "")];
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const remedy = "put it right, or remove the line";
      problems.push({ where: `${where} line ${index + 2}`, what: error.message, remedy });
      return [];
    }
  });
  if (problems.length > 0) throw new UserError(problems);
  return rows;
}

/** @throws RangeError naming the column whose cell cannot be read */
function rowOf(cell: (name: (typeof columns)[number]) => string): MeasuredRow {
  const number = (name: (typeof columns)[number]): number => {
    const value = Number(cell(name));
    if (!(value > 0)) throw new RangeError(`${name} must be a number above 0`);
    return value;
  };
  const optional = (name: (typeof columns)[number]): number | undefined =>
    cell(name) === "" || Number.isNaN(Number(cell(name))) ? undefined : Number(cell(name));
  const host = cell("host");
  if (host === "") throw new RangeError("host must be the name of a host");
  return {
    ...{ host, date: cell("date"), board: cell("board"), model: cell("model"), type: cell("type") },
    parameters: optional("parameters") ?? 0,
    fileBytes: optional("file_bytes") ?? 0,
    threads: number("threads"),
    build: optional("build") ?? 0,
    prompt: number("pp512"),
    generation: number("tg128"),
    weights: {
      layers: number("layers"),
      attentionWidth: number("attention_width"),
      blocks: weightsOf("blocks", cell("blocks")),
      output: weightsOf("output", cell("output")),
    },
    celsius: optional("celsius"),
    throttled: optional("throttled"),
    governor: cell("governor") || undefined,
    megahertz: optional("megahertz"),
    bootloader: cell("bootloader") || undefined,
  };
}

function weightsOf(column: string, text: string): WeightsByType {
  const weights = parseWeights(text);
  if (weights !== undefined) return weights;
  throw new RangeError(`${column} must be weights by type, e.g. Q4_K=84934656 Q6_K=21233664`);
}

/** Why a row says nothing about what a Raspberry Pi 4 does when all is well with it; undefined where it does. */
export function whyUnusable({
  board,
  throttled = 0,
}: Pick<MeasuredRow, "board" | "throttled">): string | undefined {
  if (!PI_4.test(board)) return `${board === "" ? "a board without a name" : board} is no Raspberry Pi 4`;
  if (throttled !== 0) return `the firmware throttled the board (get_throttled ${hex(throttled)})`;
  return undefined;
}

/**
 * Chooses the rows that predictions rest on: those of hosts that the fleet has, measured as they serve.
 * @returns them, and why each other row of a host of the fleet is passed over, one line each
 */
export function usableRows(
  rows: readonly MeasuredRow[],
  hosts: readonly MeasuredHost[],
): { usable: MeasuredRow[]; passedOver: string[] } {
  const usable: MeasuredRow[] = [];
  const passedOver: string[] = [];
  for (const row of rows) {
    const host = hosts.find(({ name }) => name === row.host);
    if (host === undefined) continue;
    const why =
      whyUnusable(row) ??
      (row.threads === host.threads
        ? undefined
        : `it was measured with ${row.threads} threads, and llama-server there has ${host.threads}`);
    if (why === undefined) usable.push(row);
    else passedOver.push(`${row.host}, ${[row.model, row.type, row.date].filter(Boolean).join(" ")}: ${why}`);
  }
  return { usable, passedOver };
}

function hex(flags: number): string {
  return `0x${flags.toString(16)}`;
}
