import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { emulated } from "../../toolchain/llama-cpp/pi-program.ts";

/** A program's functions and instructions by address; programs for the Pi are static, so addresses are those it runs at. */
export interface Disassembly {
  instructions: ReadonlyMap<number, string>;
  /** Bytes of the function that begins there. */
  sizes: ReadonlyMap<number, number>;
}

export async function disassemble(program: string): Promise<Disassembly> {
  const objdump = await execa("aarch64-linux-gnu-objdump", ["-d", "--no-show-raw-insn", program]);
  const nm = await execa("aarch64-linux-gnu-nm", ["--print-size", program]);
  const instructions = [...objdump.stdout.matchAll(/^\s*([0-9a-f]+):\t(.+)$/gm)];
  const functions = [...nm.stdout.matchAll(/^([0-9a-f]+) ([0-9a-f]+) [TtWwi] /gm)];
  return {
    instructions: new Map(instructions.map(([, at = "", text = ""]) => [parseInt(at, 16), text])),
    sizes: new Map(functions.map(([, at = "", size = ""]) => [parseInt(at, 16), parseInt(size, 16)])),
  };
}

/**
 * What an emulated Cortex-A72 executes of the function whose address the program prints, instruction by instruction.
 *
 * @param log path for the emulator's log
 */
export async function traceFunction(
  program: string,
  args: readonly string[],
  { instructions, sizes }: Disassembly,
  log: string,
): Promise<string[]> {
  const [emulator, ...options] = emulated;
  const { stdout } = await execa(emulator, [...options, program, ...args]);
  const start = parseInt(stdout, 16);
  const size = sizes.get(start);
  if (size === undefined) throw new Error(`${program}: no function begins at ${stdout}`);
  const range = `0x${start.toString(16)}+0x${size.toString(16)}`;
  // One instruction a translated block, and blocks that are not chained: each execution is logged.
  const tracing = ["-singlestep", "-d", "exec,nochain", "-dfilter", range, "-D", log];
  await execa(emulator, [...options, ...tracing, program, ...args]);
  return executedAddresses(await readFile(log, "utf8")).map((at) => {
    const text = instructions.get(at);
    if (text === undefined) throw new Error(`${program}: no instruction at ${at.toString(16)}`);
    return text;
  });
}

/** Addresses of a log of `-d exec`: `Trace 0: 0x7f… [00000000/0000000000400abc/00100c01/ff020200] symbol`. */
export function executedAddresses(log: string): number[] {
  return [...log.matchAll(/^Trace \d+: \S+ \[[0-9a-f]+\/([0-9a-f]+)\//gm)].map(([, at = ""]) =>
    parseInt(at, 16),
  );
}

/** Cycles that llvm-mca's model of the Cortex-A72 takes for instructions in this order, where caches always hit. */
export async function cyclesOf(instructions: readonly string[]): Promise<number> {
  const { stdout } = await execa(
    "llvm-mca",
    ["-march=aarch64", "-mcpu=cortex-a72", "-iterations=1", "-instruction-info=0", "-resource-pressure=0"],
    { input: instructions.map(assembly).join("\n") },
  );
  return Number(/^Total Cycles:\s+(\d+)$/m.exec(stdout)?.[1]);
}

/**
 * An instruction as the assembler reads it. objdump writes addresses where jumps and address computations have offsets; which
 * offset is the same to the model, as it follows no jump.
 */
export function assembly(instruction: string): string {
  const text = instruction.replace(/\s*\/\/.*$/, "").replace(/\s*<.*>$/, "");
  if (/^(b|b\.\w+|bl)\t/.test(text)) return text.replace(/\t.*$/, "\t#8");
  if (/^(cbn?z|tbn?z|adr)\t/.test(text)) return text.replace(/[0-9a-f]+$/, "#8");
  return /^adrp\t/.test(text) ? text.replace(/[0-9a-f]+$/, "#4096") : text;
}
