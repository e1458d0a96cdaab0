import { resolveHosts, type HostConfig, type ModelOf } from "./hosts.ts";
import type { StackConfig } from "./schema.ts";
import { modelOf, servedModels } from "./served-models.ts";

/**
 * All hosts of a stack, those written under `hosts` first, those of the inventory after them.
 * @param model of a host, where that is known already
 * @throws UserError with every problem
 */
export async function loadFleet(
  config: StackConfig,
  ansiblePlaybook: string,
  model: ModelOf = ofStack(config),
): Promise<HostConfig[]> {
  const written = config.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
  const { inventory, groups } = config;
  if (inventory === undefined) return resolveHosts(written, config, model);
  const { readInventory } = await import("./inventory.ts"); // brings what runs Ansible and ssh-keygen
  const listed = await readInventory(inventory, Object.keys(groups), ansiblePlaybook);
  return resolveHosts([...written, ...listed], config, model);
}

function ofStack(config: StackConfig): ModelOf {
  const models = servedModels(config);
  return (host) => modelOf(models, host);
}
