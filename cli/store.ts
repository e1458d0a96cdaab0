import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { formatBytes } from "../common/units.ts";
import { UserError } from "../common/user-error.ts";
import { repoRoot } from "../common/paths.ts";
import { planRecipe } from "../infra/prediction/forecast.ts";
import { loadRecipe } from "../infra/recipe/recipe.ts";
import { addUser, judge, keysIn, type JudgedItem, type Users } from "../infra/store/garbage.ts";
import { openStore } from "../infra/store/open-store.ts";
import type { Store } from "../infra/store/store.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { pulumiExport, pulumiJson } from "./run-pulumi.ts";
import { DEFAULT_STACK, readStackFile } from "./stack.ts";

const usage = "npm run store -- ls | gc [--yes] | rm KEY [--yes], each with --store URL or --stack NAME";

/**
 * `npm run store -- ls|gc|rm`: what is in a store, who uses it, and the removal of what nobody uses. `gc` and `rm` only say
 * what they would remove until they are called with `--yes`.
 */
export async function main(args: string[]): Promise<number> {
  const { action, key, yes, storeUrl } = parseArguments(args);
  await bootstrap();
  const store = await openStore(storeUrl);
  if (action === "rm") return removeOne(store, key, yes);
  const items = judge(await store.list(), await findUsers(store));
  if (action === "ls") return show(store, items);
  return collect(store, items, yes);
}

function parseArguments(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        yes: { type: "boolean", default: false },
        store: { type: "string" },
        stack: { type: "string" },
      },
      allowPositionals: true,
    });
    const [action = "", key = "", ...rest] = positionals;
    if (!["ls", "gc", "rm"].includes(action) || rest.length > 0 || (action === "rm") !== (key !== ""))
      throw new TypeError("unknown arguments");
    const { yes, store, stack = DEFAULT_STACK } = values;
    return { action, key, yes, storeUrl: store ?? readStackFile(stack)["pipress:store"] };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UserError({ where: "store", what: error.message, remedy: usage });
  }
}

/** Who uses which key: every recipe in `models/recipes/`, every recipe a stack names, and every stack's state. */
async function findUsers(store: Store): Promise<Users> {
  const users = new Map<string, string[]>();
  const toolchain = readToolchain();
  for (const recipe of recipesInUse()) {
    const plan = await planRecipe(loadRecipe(recipe), store, toolchain);
    addUser(
      users,
      plan.map(({ key }) => key),
      `recipe ${basename(recipe, ".yaml")}`,
    );
  }
  const stacks = (await pulumiJson(["stack", "ls", "--all", "--json"])) as unknown as { name: string }[];
  for (const { name } of stacks)
    addUser(users, keysIn(await pulumiExport(name)), `stack ${name.split("/").at(-1)}`);
  return users;
}

function recipesInUse(): Set<string> {
  const own = readdirSync(join(repoRoot, "models", "recipes")).map((file) => basename(file, ".yaml"));
  const stacks = readdirSync(repoRoot).flatMap((file) => /^Pulumi\.(.+)\.yaml$/.exec(file)?.[1] ?? []);
  const named = stacks.flatMap((stack) => readStackFile(stack)["pipress:recipe"] ?? []);
  return new Set([...own, ...named]);
}

async function show(store: Store, items: readonly JudgedItem[]): Promise<number> {
  for (const item of items) console.log(await describe(store, item));
  const total = items.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(`${String(items.length)} items, ${formatBytes(total)} in ${store.url}`);
  return 0;
}

/** `696dc03ed1d0  quantize   96.4 MB  2026-11-23  recipe smollm2-135m`. */
async function describe(store: Store, item: JudgedItem): Promise<string> {
  const name = item.kind === "artifact" ? await nameOf(store, item.key) : "(leftovers)";
  const size = formatBytes(item.bytes).padStart(8);
  const user = item.usedBy.join(", ") || (item.garbage ? "nobody" : "perhaps at work");
  return [item.key.slice(0, 12), name.padEnd(18), size, item.changed.toISOString().slice(0, 10), user].join(
    "  ",
  );
}

/** The stage that made an artifact; a damaged manifest names none. */
async function nameOf(store: Store, key: string): Promise<string> {
  try {
    return (await store.manifest(key))?.name ?? "?";
  } catch (error) {
    if (error instanceof UserError) return "(damaged)";
    throw error;
  }
}

async function collect(store: Store, items: readonly JudgedItem[], yes: boolean): Promise<number> {
  const garbage = items.filter((item) => item.garbage);
  const size = formatBytes(garbage.reduce((sum, { bytes }) => sum + bytes, 0));
  if (garbage.length === 0) console.log("nothing to remove: every artifact is used by a recipe or a stack");
  for (const item of garbage) {
    console.log(await describe(store, item));
    if (yes) await store.remove(item);
  }
  if (garbage.length > 0)
    console.log(
      yes
        ? `removed ${String(garbage.length)} items, ${size}`
        : `would remove ${String(garbage.length)} items, ${size}; nothing is removed without --yes`,
    );
  return 0;
}

async function removeOne(store: Store, start: string, yes: boolean): Promise<number> {
  const found = (await store.list()).filter(({ kind, key }) => kind === "artifact" && key.startsWith(start));
  const [item, second] = found;
  if (item === undefined || second !== undefined)
    throw new UserError({
      where: `store rm ${start}`,
      what:
        item === undefined
          ? "no artifact has such a key"
          : `${String(found.length)} artifacts have keys that start so`,
      remedy: "`npm run store -- ls` lists them; give more of the key",
    });
  if (yes) await store.remove(item);
  const did = yes ? "removed" : "would remove (nothing is removed without --yes)";
  console.log(`${did} ${store.locate(item.key)}, ${formatBytes(item.bytes)}`);
  return 0;
}
