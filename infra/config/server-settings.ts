import type { Recipe } from "../recipe/recipe.ts";
import type { ServerConfig } from "./host-schema.ts";

/** Settings of llama-server on one host; without `allowFrom` it answers anybody. */
export type ServerSettings = Required<Omit<ServerConfig, Left>> & Pick<ServerConfig, Left>;

/** What may be left out. */
type Left = "allowFrom" | "systemPrompt";

/** Further options of llama-server by their long names; `true` for one that takes no value. */
export type ServerFlags = ServerSettings["flags"];

/** Settings whose default hangs on others are still to come. */
type WithoutDefault = Omit<ServerSettings, "speculation"> & Pick<ServerConfig, "speculation">;

const defaults = { port: 8080, cacheType: "f16", ui: false } as const;

/**
 * Settings of llama-server: those of the recipe below those of each level. The flags of all levels are one map.
 * @param levels from the farthest to the nearest: stack, group, host
 */
export function resolveServer(
  recipe: Recipe["server"],
  ...levels: readonly (ServerConfig | undefined)[]
): ServerSettings {
  const flags = Object.assign({}, ...levels.map((level) => level?.flags)) as ServerFlags;
  const settings = Object.assign({}, defaults, recipe, ...levels, { flags }) as WithoutDefault;
  return { ...settings, speculation: settings.speculation ?? defaultSpeculation(settings) };
}

/**
 * A guess is cheap where its weights are on their way from memory anyway and our kernels unpack them once for all columns.
 * Several requests fill that time by themselves (docs/decisions/0031-n-gram-speculation.md).
 */
function defaultSpeculation({ parallel, flags }: WithoutDefault): ServerSettings["speculation"] {
  return parallel === 1 && flags["--no-repack"] === undefined ? "ngram" : "none";
}
