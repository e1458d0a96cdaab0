import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { repoRoot } from "../../common/paths.ts";

const modelsRoot = join(repoRoot, "models");

/** The code of one stage: what its key depends on besides parameters and inputs. */
export interface StageCode {
  /** SHA-256 over the stage's module and every `pipress` module that it imports, directly or not. */
  digest: string;
  /** Names of the pinned tools it declares in `TOOLS`. */
  tools: string[];
}

/**
 * Reads a stage's code. Only what the stage really imports counts, so that a change to one stage leaves the keys of
 * the others alone.
 * @param stage name as in a recipe, e.g. `fetch-dataset`
 * @param root folder that holds the `pipress` package
 * @param pythonPackage the one that holds the stage's module
 */
export function readStageCode(stage: string, root = modelsRoot, pythonPackage = "pipress.stages"): StageCode {
  const entry = `${pythonPackage}.${stage.replaceAll("-", "_")}`;
  const files = new Map<string, string>();
  collect(entry, root, files);
  const source = [...files.values()][0] ?? "";
  const hash = createHash("sha256");
  for (const path of [...files.keys()].sort()) hash.update(`${relative(root, path)}\0${files.get(path)}\0`);
  return { digest: hash.digest("hex"), tools: declaredTools(source, entry) };
}

function collect(module: string, root: string, files: Map<string, string>): void {
  const path = modulePath(module, root);
  if (path === undefined || files.has(path)) return;
  const source = readFileSync(path, "utf8");
  files.set(path, source);
  for (const imported of importedModules(source)) collect(imported, root, files);
}

function modulePath(module: string, root: string): string | undefined {
  const base = join(root, ...module.split("."));
  return [`${base}.py`, join(base, "__init__.py")].find((path) => existsSync(path));
}

/** `from pipress.a import b` may name the module `pipress.a` or the module `pipress.a.b`: both are candidates. */
function importedModules(source: string): string[] {
  const modules: string[] = [];
  for (const [, module] of source.matchAll(/^\s*import (pipress[\w.]*)/gm)) modules.push(module ?? "");
  for (const [, module, names] of source.matchAll(/^\s*from (pipress[\w.]*) import (\([^)]*\)|[^\n]*)/gm)) {
    modules.push(module ?? "");
    for (const name of (names ?? "").match(/\w+/g) ?? []) modules.push(`${module}.${name}`);
  }
  return modules;
}

function declaredTools(source: string, module: string): string[] {
  const match = /^TOOLS\b[^=]*= \(([^)]*)\)/m.exec(source);
  if (match === null) throw new Error(`${module} declares no TOOLS`);
  return [...(match[1] ?? "").matchAll(/["']([^"']+)["']/g)].map(([, name]) => name ?? "");
}
