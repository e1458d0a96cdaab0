import type { Recipe } from "../recipe/recipe.ts";
import type { ServerConfig } from "./host-schema.ts";

/** Settings of llama-server on one host; without `allowFrom` it answers anybody. */
export type ServerSettings = Required<Omit<ServerConfig, Left>> & Pick<ServerConfig, Left>;

/** What may be left out. */
type Left = "allowFrom" | "systemPrompt";

/** Further options of llama-server by their long names; `true` for one that takes no value. */
export type ServerFlags = ServerSettings["flags"];

const defaults = { port: 8080, cacheType: "f16" } as const;

/**
 * Settings of llama-server: those of the recipe below those of each level. The flags of all levels are one map.
 * @param levels from the farthest to the nearest: stack, group, host
 */
export function resolveServer(
  recipe: Recipe["server"],
  ...levels: readonly (ServerConfig | undefined)[]
): ServerSettings {
  const flags = Object.assign({}, ...levels.map((level) => level?.flags)) as ServerFlags;
  return Object.assign({}, defaults, recipe, ...levels, { flags }) as ServerSettings;
}
