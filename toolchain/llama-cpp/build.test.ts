import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { build, firstError, ninjaSteps } from "./build.ts";
import type { BuildRecipe } from "./recipe.ts";
import type { Run } from "./source.ts";

describe("building a small project with the real cmake and ninja", () => {
  const recipe: BuildRecipe = {
    name: "host",
    label: "small",
    targets: ["hello"],
    cmakeArgs: [],
    ownFolders: {},
    machine: "any",
  };
  let folder: string;
  let lines: string[];
  let run: Run;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pipress-build-"));
    lines = [];
    run = {
      cacheDir: folder,
      python: "/usr/bin/python3",
      progress: (line) => lines.push(line),
      signal: new AbortController().signal,
    };
    const cmake = "cmake_minimum_required(VERSION 3.19)\nproject(small C)\nadd_executable(hello hello.c)\n";
    const output = "set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)\n";
    await writeFile(join(folder, "CMakeLists.txt"), cmake.replace("add_", `${output}add_`));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("makes the program, and nothing anew the second time", async () => {
    await writeFile(
      join(folder, "hello.c"),
      "#include <stdio.h>\nint main(void) { puts(__FILE__); return 0; }\n",
    );
    const bin = await build(run, recipe, folder, join(folder, "out"));
    const { stdout } = await execa(join(bin, "hello"));
    expect(stdout).toBe("llama.cpp/hello.c"); // no path of this machine in the program
    expect(lines[0]).toBe("small: configuring");

    const before = await stat(join(bin, "hello"));
    lines.length = 0;
    await build(run, recipe, folder, join(folder, "out"));
    expect((await stat(join(bin, "hello"))).mtimeMs).toBe(before.mtimeMs);
    expect(lines).not.toContain("small: configuring");
  });

  it("reads its own copy of our files", async () => {
    const own = join(folder, "ours");
    await mkdir(own);
    await writeFile(join(own, "more.cmake"), 'message(STATUS "read from ${CMAKE_CURRENT_LIST_DIR}")\n');
    await writeFile(join(folder, "hello.c"), "int main(void) { return 0; }\n");
    const include = "-DCMAKE_PROJECT_small_INCLUDE=@ours@/more.cmake";
    const withFiles = { ...recipe, cmakeArgs: [include], ownFolders: { "@ours@": own } };
    await build(run, withFiles, folder, join(folder, "out"));
    const log = await readFile(join(folder, "out", "configure.log"), "utf8");
    expect(log).toContain(`read from ${join(folder, "out", "ours")}`);
  });

  it("turns a compile error into one line with the log's path", async () => {
    await writeFile(join(folder, "hello.c"), "int main(void) { return nothing; }\n");
    const log = join(folder, "out", "build.log");
    await expect(build(run, recipe, folder, join(folder, "out"))).rejects.toThrow(
      new RegExp(
        `^small: .*'nothing' undeclared.* — run the same command again to go on; full output in ${log}`,
      ),
    );
    expect(await readFile(log, "utf8")).toContain("undeclared");
  });

  it("waits for another process that builds the same, and says so", async () => {
    await writeFile(join(folder, "hello.c"), "int main(void) { return 0; }\n");
    const out = join(folder, "out");
    await build(run, recipe, folder, out);
    lines.length = 0;
    const other = execa("flock", [join(out, "lock"), "sleep", "7"]);
    await setTimeout(200);
    await build(run, recipe, folder, out);
    expect(lines).toContain("small is being built by another process; waiting for it");
    expect((await other).exitCode).toBe(0);
  }, 30_000);

  it("stops when asked and goes on later", async () => {
    await writeFile(join(folder, "hello.c"), "int main(void) { return 0; }\n");
    const asked = AbortSignal.abort();
    await expect(build({ ...run, signal: asked }, recipe, folder, join(folder, "out"))).rejects.toThrow();
    await expect(build(run, recipe, folder, join(folder, "out"))).resolves.toBe(join(folder, "out", "bin"));
  });
});

describe("reading what build programs say", () => {
  it("takes the step from ninja's status lines only", () => {
    expect(ninjaSteps("[312/420] Building CXX object src/llama.cpp.o")).toBe("312/420");
    expect(ninjaSteps("warning: [1/2] in a string")).toBeUndefined();
  });

  it("finds the first error, not the last line", () => {
    expect(firstError(["[1/2] x", "a.c:1:2: error: bad", "ninja: build stopped: subcommand failed."])).toBe(
      "a.c:1:2: error: bad",
    );
  });

  it("joins cmake's place and reason", () => {
    expect(firstError(["CMake Error at CMakeLists.txt:3:", "  no compiler"])).toBe(
      "CMake Error at CMakeLists.txt:3:   no compiler",
    );
  });
});
