import { formatBytes } from "../common/units.ts";
import { UserError } from "../common/user-error.ts";
import { recipeNames } from "../infra/recipe/recipe.ts";
import { planModel } from "../infra/prediction/forecast.ts";
import { describeModel, loadModel, type NamedModel } from "../infra/model/model.ts";
import { namedModels } from "../infra/config/load.ts";
import { addUser, judge, keysIn, type JudgedItem, type Users } from "../infra/store/garbage.ts";
import { openStore } from "../infra/store/open-store.ts";
import type { Store } from "../infra/store/store.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import { pulumiJson, pulumiText } from "./run-pulumi.ts";
import {
  bootstrapOnce,
  namesOfStackFiles,
  readStackValue,
  type StackOptions,
  writtenConfig,
} from "./stack.ts";

/** Which store a verb works on: `--store`, else the stack's. */
export interface StoreOptions extends StackOptions {
  store?: string;
}

/** `gc` and `rm` only say what they would remove until they are called with `--yes`. */
export interface RemovalOptions extends StoreOptions {
  yes?: true;
}

/** `./pipress store ls`: what is in a store, and who uses it. */
export async function list(options: StoreOptions): Promise<number> {
  const store = await open(options);
  const items = judge(await store.list(), await findUsers(store));
  for (const item of items) console.log(await describe(store, item));
  console.log(`${String(items.length)} items, ${sizeOf(items)} in ${store.url}`);
  if (store.unseen !== undefined) console.log(`not seen: ${store.unseen}`);
  return 0;
}

/** `./pipress store gc`: removes what nobody uses. */
export async function collect({ yes, ...options }: RemovalOptions): Promise<number> {
  const store = await open(options);
  const garbage = judge(await store.list(), await findUsers(store)).filter((item) => item.garbage);
  for (const item of garbage) {
    console.log(await describe(store, item));
    if (yes) await store.remove(item);
  }
  const items = `${String(garbage.length)} items, ${sizeOf(garbage)}`;
  if (garbage.length === 0) console.log("nothing to remove: every artifact is used by a recipe or a stack");
  else if (yes) console.log(`removed ${items}`);
  else console.log(`would remove ${items}; nothing is removed without --yes`);
  return 0;
}

/** `./pipress store rm KEY`: removes one artifact. @param start the first digits of its key */
export async function remove(start: string, { yes, ...options }: RemovalOptions): Promise<number> {
  const store = await open(options);
  const matches = (await store.list()).filter(
    ({ kind, key }) => kind === "artifact" && key.startsWith(start),
  );
  const [item, second] = matches;
  if (item === undefined || second !== undefined)
    throw new UserError({
      where: `store rm ${start}`,
      what:
        item === undefined
          ? "no artifact has such a key"
          : `${String(matches.length)} artifacts have keys that start so`,
      remedy: "`./pipress store ls` lists them; give more of the key",
    });
  if (yes) await store.remove(item);
  const outcome = yes ? "removed" : "would remove (nothing is removed without --yes)";
  console.log(`${outcome} ${store.locate(item.key)}, ${formatBytes(item.bytes)}`);
  return 0;
}

async function open(options: StoreOptions): Promise<Store> {
  const url = options.store ?? (await readStackValue("pipress:store", options));
  await bootstrapOnce();
  return openStore(url);
}

function sizeOf(items: readonly JudgedItem[]): string {
  return formatBytes(items.reduce((sum, { bytes }) => sum + bytes, 0));
}

/** Who uses which key: every recipe in `models/recipes/`, every recipe or model a stack names, and every stack's state. */
async function findUsers(store: Store): Promise<Users> {
  const users = new Map<string, string[]>();
  const toolchain = readToolchain();
  for (const model of modelsInUse().map((named) => loadModel(named))) {
    const plan = await planModel(model, store, toolchain);
    addUser(
      users,
      plan.map(({ key }) => key),
      describeModel(model),
    );
  }
  const stacks = await pulumiJson<{ name: string }[]>(["stack", "ls", "--all", "--json"]);
  for (const { name } of stacks)
    addUser(
      users,
      keysIn(await pulumiText(["stack", "export", "--stack", name])),
      `stack ${name.split("/").at(-1)}`,
    );
  return users;
}

/** Also of stacks that this backend does not know. */
function modelsInUse(): NamedModel[] {
  const own = recipeNames();
  const ofStacks = namesOfStackFiles().flatMap((stack) => namedModels(writtenConfig(stack)));
  const others = ofStacks.filter(({ recipe = "" }) => !own.includes(recipe));
  return [...own.map((recipe) => ({ recipe })), ...others];
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
