import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { Workspace } from "../e2e/workspace.ts";
import type { AutoScalingStandIn } from "./stand-ins/auto-scaling.ts";

/** Plugins of a test, by version: the drop-in for `command`, and for `aws` a stand-in that touches nothing. */
const plugins = [
  { name: "command", version: "1.2.1", folder: "infra/provider/command" },
  { name: "aws", version: "7.48.0", folder: "infra/builder/aws/testing/aws-stand-in" },
];

/** A folder for PULUMI_HOME with those plugins and no others. */
export function makePulumiHome(home: string): string {
  for (const { name, version, folder } of plugins) {
    const plugin = join(home, "plugins", `resource-${name}-v${version}`);
    mkdirSync(plugin, { recursive: true });
    const executable = `pulumi-resource-${name}`;
    symlinkSync(join(repoRoot, folder, executable), join(plugin, executable));
  }
  return home;
}

/** A stack on the real engine for which stand-ins answer in the place of AWS. */
export async function makeWorkspace(autoscaling: AutoScalingStandIn): Promise<Workspace> {
  const workspace = new Workspace();
  Object.assign(workspace.env, {
    PULUMI_HOME: makePulumiHome(join(workspace.dir, "pulumi-home")),
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    AWS_ENDPOINT_URL_AUTO_SCALING: autoscaling.endpoint,
  });
  await workspace.init();
  return workspace;
}
