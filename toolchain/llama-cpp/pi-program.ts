import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { findOnPath } from "../bootstrap/find-on-path.ts";
import { kernelFolder, piRecipe } from "./recipe.ts";
import { homeDir, sourcePath } from "./source.ts";

const compiler = "aarch64-linux-gnu-g++";
const emulator = "qemu-aarch64";

/** The types that have a kernel of ours, as ggml calls them: `kernel_of` in a72/kernels.cpp. */
export const kernelTypes = [
  ...["q4_0", "q8_0", "q2_K", "q3_K", "q4_K", "q5_K", "q6_K"],
  ...["iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_s", "iq2_xs", "iq2_xxs"],
];

/** Libraries of the Pi's build that a program needs; each comes before those it needs itself. */
const libraries = ["ggml.a", "ggml-cpu.a", "ggml-base.a"];

/** Why programs for the Pi cannot be compiled and run here; undefined where they can. */
export function piProgramsMissing(cacheDir: string): string | undefined {
  for (const command of [compiler, emulator])
    if (findOnPath(command) === undefined) return `no ${command}: npm test installs it on Debian and Ubuntu`;
  const built = libraryPaths(cacheDir).every((path) => existsSync(path));
  return built ? undefined : "llama.cpp for the Pi is not built: npm run bootstrap builds it";
}

/**
 * Compiles a program with the kernels as they are in this clone. What it needs of upstream comes from the Pi's last build.
 *
 * @param source a file of C++, which includes `kernels.h`
 * @param program path of what is made
 */
export async function compilePiProgram(cacheDir: string, source: string, program: string): Promise<void> {
  const ggml = join(sourcePath(cacheDir), "ggml");
  const includes = [kernelFolder, ...["include", "src", "src/ggml-cpu"].map((folder) => join(ggml, folder))];
  await execa(compiler, [
    ...["-std=c++17", "-O3", "-DNDEBUG", "-march=armv8-a", "-mtune=cortex-a72", "-static", "-fopenmp"],
    ...includes.map((folder) => `-I${folder}`),
    ...[source, join(kernelFolder, "kernels.cpp"), join(kernelFolder, "buffer-type.cpp")],
    ...libraryPaths(cacheDir),
    ...["-o", program],
  ]);
}

/** Command and first arguments that run a program as a Cortex-A72 does. */
export const emulated = [emulator, "-cpu", "cortex-a72"] as const;

function libraryPaths(cacheDir: string): string[] {
  const folder = join(homeDir(cacheDir), piRecipe().name, "ggml", "src");
  return libraries.map((name) => join(folder, `lib${name}`));
}
