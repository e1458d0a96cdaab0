import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { resolveHosts, type HostConfig } from "./hosts.ts";
import type { StackConfig } from "./schema.ts";

/**
 * All hosts of a stack, those written under `hosts` first, those of the inventory after them.
 * @param recipe where it is known already
 * @throws UserError with every problem
 */
export async function loadFleet(
  config: StackConfig,
  ansiblePlaybook: string,
  recipe: Pick<Recipe, "server"> = loadRecipe(config.recipe),
): Promise<HostConfig[]> {
  const written = config.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
  const { inventory, groups } = config;
  if (inventory === undefined) return resolveHosts(written, config, recipe);
  const { readInventory } = await import("./inventory.ts"); // brings what runs Ansible and ssh-keygen
  const listed = await readInventory(inventory, Object.keys(groups), ansiblePlaybook);
  return resolveHosts([...written, ...listed], config, recipe);
}
