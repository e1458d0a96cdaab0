import { execa } from "execa";
import { UserError } from "../../common/user-error.ts";

/** What the instructions of an aarch64 program say about the CPU it needs. */
export interface InstructionReport {
  /** NEON multiply and add instructions that weights go through. */
  neonArithmetic: number;
  /** Instructions a Cortex-A72 would die of, `symbol: instruction`, at most `maxReported`. */
  illegal: string[];
}

const maxReported = 10;

/** Vector arithmetic llama.cpp's dot products and float kernels compile to on plain ARMv8.0. */
const neon = /^(smull2?|smlal2?|sadalp|saddlp|fmla|mla)\s+v\d+\./;

/**
 * What ARMv8.0-A does not have, by mnemonic (and operands where the mnemonic alone does not tell):
 * dotprod, i8mm, bf16, fp16fml, half-precision arithmetic, rounding double multiply, complex numbers, crypto,
 * SVE and SME registers, LSE atomics.
 */
const beyondA72: readonly RegExp[] = [
  /^(sdot|udot|usdot|sudot|smmla|ummla|usmmla|bfdot|bfmmla|bfmlal[bt]|bfcvtn?2?|fmlal2?|fmlsl2?)\s/,
  /^(sqrdmlah|sqrdmlsh|fcmla|fcadd|fjcvtzs)\s/,
  /^(aes[a-z]+|sha(1|256|512)[a-z0-9]*|pmull2?\s+v\d+\.1q|sm[34][a-z0-9]+|eor3|rax1|xar|bcax)\s/,
  // fp16 *conversions* are part of ARMv8.0, arithmetic on halves is not.
  /^f(add|sub|mul|div|mla|mls|madd|msub|nmadd|nmul|max|min|maxnm|minnm|abs|neg|sqrt|addp|cmp|cmeq|cmgt|cmge)\s+(v\d+\.[48]h|h\d+)/,
  /\s[{]?z\d+\.[bhsdq]\b/,
  /\sp\d+(\.[bhsd]|\/[zm])/,
  /\sza\d*[.[]/,
  /^(smstart|smstop|ptrue|whilel[eots])\b/,
  /^(cas[ap]?[al]*[bh]?|(ld|st)(add|clr|eor|set|smax|smin|umax|umin)[al]*[bh]?|swp[al]*[bh]?)\s/,
];

/**
 * Functions that only run after asking the kernel whether the CPU can: glibc's variants of memcpy and its kin
 * (IFUNC) and libgcc's atomics (`__aarch64_have_lse_atomics`).
 */
const dispatchedAtRunTime =
  /^(__(mem(cpy|move|set|chr|cmp)|str[a-z]+)_(sve|mops|mte|a64fx|oryon1|kunpeng\w*|emag)\w*|__aarch64_(cas|swp|ldadd|ldclr|ldeor|ldset)\w*)$/;

/** Reads `objdump -d --no-show-raw-insn` output line by line. */
export async function inspectInstructions(lines: AsyncIterable<string>): Promise<InstructionReport> {
  const report: InstructionReport = { neonArithmetic: 0, illegal: [] };
  let symbol = "(no symbol)";
  let dispatched = false;
  for await (const line of lines) {
    // "  4007c4:\tsmull\tv0.8h, v1.8b, v2.8b"   or   "00000000004007a0 <ggml_vec_dot_q4_K_q8_K>:"
    const tab = line.indexOf(":\t");
    if (tab === -1) {
      const header = /^[0-9a-f]+ <(.+)>:$/.exec(line);
      if (header?.[1] !== undefined) {
        symbol = header[1];
        dispatched = dispatchedAtRunTime.test(symbol);
      }
      continue;
    }
    const instruction = line.slice(tab + 2);
    if (instruction.startsWith(".")) continue; // data between functions, marked as such by the assembler
    if (neon.test(instruction)) report.neonArithmetic += 1;
    else if (
      !dispatched &&
      report.illegal.length < maxReported &&
      beyondA72.some((p) => p.test(instruction))
    ) {
      report.illegal.push(`${symbol}: ${instruction.replaceAll("\t", " ").trim()}`);
    }
  }
  return report;
}

/**
 * Disassembles an aarch64 program (not stripped: symbols tell what is dispatched at run time, mapping symbols
 * what is data) and checks that it uses NEON and nothing a Cortex-A72 lacks.
 *
 * @throws UserError naming the first offending function and instruction
 */
export async function verifyNeon(binary: string, signal?: AbortSignal): Promise<InstructionReport> {
  const child = execa("aarch64-linux-gnu-objdump", ["-d", "--no-show-raw-insn", binary], {
    buffer: false,
    cancelSignal: signal,
  });
  const report = await inspectInstructions(child.iterable());
  await child;
  if (report.illegal.length > 0) {
    throw new UserError({
      where: binary,
      what: `has instructions a Cortex-A72 cannot run (${report.illegal.slice(0, 3).join("; ")})`,
      remedy: "build with -march=armv8-a; this is a mistake of the build recipe, please report it",
    });
  }
  if (report.neonArithmetic === 0) {
    throw new UserError({
      where: binary,
      what: "has no NEON arithmetic and would run many times slower than it should",
      remedy: "look for -mgeneral-regs-only or a generic ggml build; this is a mistake of the build recipe",
    });
  }
  return report;
}
