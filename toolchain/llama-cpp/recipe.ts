import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { filesBelow, sha256 } from "../bootstrap/files.ts";
import { llamaCppPin } from "./pin.ts";

/** Folder of our own CMake files, read beside upstream's unchanged sources. */
export const cmakeFolder = join(repoRoot, "toolchain", "llama-cpp", "cmake");

/** Folder of our own kernels for a CPU without dotprod, which the Pi's build has in place of a file of upstream's. */
export const kernelFolder = join(repoRoot, "toolchain", "llama-cpp", "a72");

/** Stands in `cmakeArgs` for the build's own copy of `cmakeFolder`, so that a build outlives a moved clone. */
export const cmakePlaceholder = "@cmake@";

/** The same for `kernelFolder`. */
const kernelPlaceholder = "@a72@";

/** One way of building the pinned source: pure data, so that tests and digests can look at it. */
export interface BuildRecipe {
  /** Folder name below the source's cache folder. */
  name: "host" | "aarch64-a72";
  /** How progress lines call it. */
  label: string;
  /** Ninja targets; nothing else of the tree is compiled. */
  targets: readonly string[];
  /** Arguments of `cmake`, without source and build folder; may hold a placeholder of `ownFolders`. */
  cmakeArgs: readonly string[];
  /** Folders of our own files that the build reads, by their placeholders. */
  ownFolders: Readonly<Record<string, string>>;
  /** What besides the arguments decides the result, e.g. the builder's CPU. */
  machine: string;
}

/** One option of cmake on each line that is none of a comment. A build on the device reads the same files. */
function options(name: string): string[] {
  const lines = readFileSync(join(cmakeFolder, `${name}.options`), "utf8").split("\n");
  return lines.filter((line) => line.startsWith("-D"));
}

const commonArgs = [
  ...options("common"),
  `-DLLAMA_BUILD_NUMBER=${String(llamaCppPin.build)}`,
  // The archive does not name upstream's commit; its own digest is the truth we have.
  `-DLLAMA_BUILD_COMMIT=sdist.${llamaCppPin.sha256.slice(0, 9)}`,
];

/** @param file is read right after upstream's project() call */
const include = (file: string) => `-DCMAKE_PROJECT_llama.cpp_INCLUDE=${file}`;

/**
 * Tools the stages run on the builder, compiled for exactly this CPU.
 *
 * @param cpu identity of the CPU (`cpuIdentity()`): a cache copied to another machine must not be trusted there
 */
export function hostRecipe(cpu: string): BuildRecipe {
  return {
    name: "host",
    label: "llama.cpp for the builder",
    targets: [
      "llama-quantize",
      "llama-imatrix",
      "llama-perplexity",
      "llama-bench",
      "llama-simple",
      "llama-server",
      "pipress-server-flags",
      "pipress-vocabulary",
      "pipress-score",
      "pipress-quantizer",
    ],
    cmakeArgs: [...commonArgs, include(`${cmakePlaceholder}/builder.cmake`), "-DGGML_NATIVE=ON"],
    ownFolders: { [cmakePlaceholder]: cmakeFolder },
    machine: cpu,
  };
}

/** What the fleet runs: a Cortex-A72 has NEON and no dotprod, i8mm, fp16 arithmetic, SVE or crypto. */
export function piRecipe(): BuildRecipe {
  return {
    name: "aarch64-a72",
    label: "llama.cpp for the Pi",
    targets: ["llama-server", "llama-bench"],
    cmakeArgs: [
      ...commonArgs,
      ...options("cortex-a72"),
      include(`${kernelPlaceholder}/a72.cmake`),
      `-DCMAKE_TOOLCHAIN_FILE=${cmakePlaceholder}/aarch64-a72.cmake`,
      // Makes cmake look for archives only: FindOpenMP would put libgomp.so on the line of a static program.
      "-DGGML_STATIC=ON",
    ],
    ownFolders: { [cmakePlaceholder]: cmakeFolder, [kernelPlaceholder]: kernelFolder },
    machine: "cortex-a72",
  };
}

/** Digest of everything that decides what a recipe builds; a cached build with another one is built anew. */
export function recipeDigest(recipe: BuildRecipe): string {
  return sha256(
    JSON.stringify([llamaCppPin.sha256, recipe.targets, recipe.cmakeArgs, recipe.machine]),
    ...Object.values(recipe.ownFolders)
      .flatMap(filesBelow)
      .map((file) => readFileSync(file)),
  );
}

/** What `-march=native` looks at: model and feature flags of the first CPU, from /proc/cpuinfo. */
export function cpuIdentity(cpuinfo = readFileSync("/proc/cpuinfo", "utf8")): string {
  const lines = cpuinfo.split("\n\n", 1)[0]?.split("\n") ?? [];
  return lines.filter((line) => /^(model name|flags|Features|CPU part)\s*:/.test(line)).join("\n");
}
