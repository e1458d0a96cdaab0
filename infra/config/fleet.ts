import { loadModel, type Model } from "../model/model.ts";
import { resolveHosts, type HostConfig } from "./hosts.ts";
import type { StackConfig } from "./schema.ts";

/**
 * All hosts of a stack, those written under `hosts` first, those of the inventory after them.
 * @param model where it is known already
 * @throws UserError with every problem
 */
export async function loadFleet(
  config: StackConfig,
  ansiblePlaybook: string,
  model: Pick<Model, "server"> = loadModel(config),
): Promise<HostConfig[]> {
  const written = config.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
  const { inventory, groups } = config;
  if (inventory === undefined) return resolveHosts(written, config, model);
  const { readInventory } = await import("./inventory.ts"); // brings what runs Ansible and ssh-keygen
  const listed = await readInventory(inventory, Object.keys(groups), ansiblePlaybook);
  return resolveHosts([...written, ...listed], config, model);
}
