import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Code that decides something, and the tests that have to notice a bug in it. */
export interface Area {
  name: string;
  language: "TypeScript" | "Python";
  /** Folders, whose own files count, and files; all from the repository's root. */
  code: readonly string[];
  tests: readonly string[];
}

const typeScript = (name: string, folder: string, tests = folder): Area => ({
  ...{ name, language: "TypeScript", code: [folder], tests: [tests] },
});
const python = (name: string, code: readonly string[], tests: readonly string[]): Area => ({
  ...{ name, language: "Python", code, tests },
});

export const areas: readonly Area[] = [
  typeScript("stage", "infra/stage"),
  typeScript("plan", "infra/plan"),
  typeScript("store", "infra/store"),
  typeScript("rollout", "infra/fleet/rollout", "infra/fleet"),
  typeScript("ansible-controller", "infra/ansible"),
  python(
    "ansible-host",
    ["module_utils/pipress_host", "library", "callback_plugins", "lookup_plugins"].map(
      (path) => `ansible/${path}`,
    ),
    // Not those that compile, balance load and judge units: they try roles, for minutes.
    [
      "ansible/module_utils",
      "ansible/library",
      "ansible/test_modules.py",
      "ansible/test_pipress_events_results.py",
      "ansible/test_pipress_events.py",
    ],
  ),
  python(
    "pruning",
    ["models/pipress/pruning"],
    ["models/pipress/pruning", "models/pipress/stages/test_prune.py"],
  ),
  python(
    "recovery",
    ["models/pipress/recovery"],
    ["models/pipress/recovery", "models/pipress/stages/test_recover.py"],
  ),
  python(
    "quantization",
    ["models/pipress/quantization"],
    ["models/pipress/quantization", "models/pipress/stages/test_quantize.py"],
  ),
  python(
    "file-store",
    ["store/file_store.py", "store/cache.py", "store/store.py", "atomic.py"].map(
      (path) => `models/pipress/${path}`,
    ),
    ["models/pipress/store"],
  ),
  python("watchdog", ["models/pipress/cloud/watch.py"], ["models/pipress/cloud"]),
];

const excluded = /(?:\.test\.ts|\.generated\.ts|\/(?:test_\w+|conftest|__init__)\.py)$/;

/** Files of an area's code, without tests and what is generated; from the root of a checkout. */
export function codeOf(area: Area, root: string): string[] {
  const ending = area.language === "TypeScript" ? ".ts" : ".py";
  return area.code
    .flatMap((path) =>
      statSync(join(root, path)).isFile()
        ? [path]
        : readdirSync(join(root, path)).map((name) => `${path}/${name}`),
    )
    .filter((path) => path.endsWith(ending) && !excluded.test(path))
    .sort();
}
