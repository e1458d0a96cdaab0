import type { HostConfig } from "../config/hosts.ts";
import type { StackConfig } from "../config/schema.ts";
import type { ServedModel } from "../config/served-models.ts";
import { resolveServer, type ServerSettings } from "../config/server-settings.ts";
import type { BoardSpeeds } from "../prediction/board-speeds.ts";
import { planModel } from "../prediction/forecast.ts";
import { distinctSettings, type HostsAlike } from "../prediction/host-settings.ts";
import { predict, type Prediction, type SpeedOf } from "../prediction/predict.ts";
import type { StageCost } from "../prediction/stage-costs.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Store } from "../store/store.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { systemPromptStages, type SystemPromptStages } from "./system-prompts.ts";

/** A model of a stack: how it is made, what is predicted of it, and by whom it is served. */
export interface Serving extends ServedModel {
  hosts: readonly HostConfig[];
  /** Settings of a host that has none of its own. */
  server: ServerSettings;
  settings: readonly HostsAlike[];
  plan: readonly PlannedStage[];
  /** Undefined while nothing says what shape the model has. */
  prediction: Prediction | undefined;
  systemPromptStage: SystemPromptStages["stageOf"];
}

/** What all models of a stack are planned from. */
export interface ServingsArgs {
  config: Pick<StackConfig, "server" | "groups">;
  models: readonly ServedModel[];
  fleet: readonly HostConfig[];
  /** Without one nothing is planned. */
  store: Store | undefined;
  toolchain: Toolchain;
  speedOf?: SpeedOf | undefined;
  boards?: BoardSpeeds | undefined;
}

/** Plans every model that hosts serve; of a stack without hosts, its own. Runs nothing. */
export async function planServings(args: ServingsArgs): Promise<Serving[]> {
  const { config, models, fleet, store, toolchain, speedOf, boards } = args;
  const served = models.filter(({ isServedBy }, index) =>
    fleet.length === 0 ? index === 0 : fleet.some(isServedBy),
  );
  return Promise.all(
    served.map(async (one): Promise<Serving> => {
      const { model, group, isServedBy } = one;
      const hosts = fleet.filter(isServedBy);
      const ofGroup = group === undefined ? undefined : config.groups[group]?.server;
      const server = resolveServer(model.server, config.server, ofGroup);
      const { stages, stageOf } = systemPromptStages(
        hosts.length > 0 ? hosts.map((host) => host.server) : [server],
      );
      const plan = store === undefined ? [] : await planModel(model, store, toolchain, stages);
      return {
        ...one,
        ...{ hosts, server, plan, systemPromptStage: stageOf },
        settings: distinctSettings(hosts, server),
        prediction: predict(model, plan, server, speedOf, boards),
      };
    }),
  );
}

/** All stages of a stack, each by the name that no other has. */
export function allStages(servings: readonly Serving[]): PlannedStage[] {
  return servings.flatMap(({ plan, prefix }) =>
    plan.map((stage) => ({ ...stage, name: prefix + stage.name })),
  );
}

/** What they are predicted to cost, by the same names. */
export function allCosts(servings: readonly Serving[]): Map<string, StageCost> {
  return new Map(
    servings.flatMap(({ prediction, prefix }) =>
      [...(prediction?.stages ?? [])].map(([name, cost]): [string, StageCost] => [prefix + name, cost]),
    ),
  );
}
