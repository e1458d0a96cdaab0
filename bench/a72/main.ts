import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { findOnPath } from "../../toolchain/bootstrap/find-on-path.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { missingPackagesError } from "../../toolchain/bootstrap/system-packages.ts";
import { compilePiProgram, kernelTypes, piProgramsMissing } from "../../toolchain/llama-cpp/pi-program.ts";
import { list, readOptions } from "../options.ts";
import { writeResults } from "../results.ts";
import { resultsTable, type Row, rowsOf } from "../rows.ts";
import { cyclesOf, type Disassembly, disassemble, traceFunction } from "./trace.ts";

/** Length of a row: long enough that what a kernel does once a row counts little, as in a model. */
const VALUES = 4096;

/** Rows of a call of ours. A call of upstream's kernel has one row and one column. */
const ROWS = 4;

/** How many columns a call has: a prompt has many, and ours takes four at a time; generation has one. */
const USES = { prompt: 4, generation: 1 };

/**
 * `npm run bench:a72 [-- --types q4_K,q3_K]`: what our kernels take of a Cortex-A72 per weight and column, beside upstream's.
 * Instructions are counted under emulation; cycles are what llvm-mca's model of the core makes of these very instructions.
 */
export async function main(args: string[]): Promise<number> {
  const { types } = readOptions("bench:a72", { types: list(z.enum(kernelTypes)).default(kernelTypes) }, args);
  await bootstrap({ purpose: "run" });
  requireTools();
  const folder = mkdtempSync(join(tmpdir(), "pipress-a72-"));
  const program = join(folder, "kernel-call");
  const rows: Row[] = [];
  try {
    await compilePiProgram(cacheDir(), join(repoRoot, "bench", "a72", "kernel-call.cpp"), program);
    const code = await disassemble(program);
    for (const type of types) {
      const figures = {
        name: "llama.cpp",
        figures: await measureKernel(program, code, type, "llama.cpp", 1),
      };
      for (const [use, columns] of Object.entries(USES)) {
        const ours = await measureKernel(program, code, type, "ours", columns);
        rows.push(...rowsOf(`${use} ${type.toUpperCase()}`, ours, figures));
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  console.log(resultsTable(rows));
  writeResults("a72", { rows });
  return 0;
}

function requireTools(): void {
  const missing = piProgramsMissing(cacheDir());
  if (missing !== undefined) throw new UserError({ where: "bench:a72", what: missing });
  if (findOnPath("llvm-mca") === undefined) {
    const llvm = { deb: "llvm", commands: ["llvm-mca"], for: "a model of the Cortex-A72" };
    throw missingPackagesError([llvm], "bench:a72 needs it");
  }
}

/** One call of a kernel, by weight and column. */
async function measureKernel(
  program: string,
  code: Disassembly,
  type: string,
  kernel: "ours" | "llama.cpp",
  columns: number,
): Promise<Record<string, number>> {
  const call = [type, String(columns), kernel, String(VALUES)];
  const trace = await traceFunction(program, call, code, `${program}.log`);
  const products = VALUES * (kernel === "ours" ? ROWS * columns : 1);
  const perWeight = (count: number): number => Number((count / products).toFixed(4));
  return {
    cycles_per_weight: perWeight(await cyclesOf(trace)),
    instructions_per_weight: perWeight(trace.length),
  };
}
