import * as pulumi from "@pulumi/pulumi";
import type { Builder } from "../infra/builder/builder.ts";
import { makeBuilder } from "../infra/builder/make-builder.ts";
import { secretToken } from "../infra/builder/hugging-face-token.ts";
import type { JobResult } from "../infra/builder/job.ts";
import { parseStackConfig } from "../infra/config/load.ts";
import { makeHost } from "../infra/host/host.ts";
import { describePlan, planStages, type PlannedStage } from "../infra/plan/plan.ts";
import { describeRelease } from "../infra/prediction/describe.ts";
import { predict } from "../infra/prediction/predict.ts";
import { checkTargets, knownMemories } from "../infra/prediction/targets.ts";
import { loadRecipe } from "../infra/recipe/recipe.ts";
import { makeRelease } from "../infra/release/release.ts";
import { modelFigures, type HostFigures, type Report } from "../infra/report/report.ts";
import { Rollout, type ServiceResults } from "../infra/rollout/rollout.ts";
import { Secret } from "../infra/secret/secret.ts";
import { Stage } from "../infra/stage/stage.ts";
import { bringModel } from "../infra/store/bring-model.ts";
import { openStore } from "../infra/store/open-store.ts";
import { readToolchain } from "../infra/toolchain.ts";

/** A model compressed by its recipe, and the hosts that serve it. */
export async function fleetStack(): Promise<Record<string, unknown>> {
  const config = parseStackConfig(pulumi.runtime.allConfig());
  const recipe = loadRecipe(config.recipe);
  const toolchain = readToolchain();
  const store = await openStore(config.store);

  const plan = await planStages(recipe, store, toolchain);
  const server = { ...recipe.server, ...config.service };
  const prediction = predict(recipe, plan, server);
  await pulumi.log.info(describePlan(plan, prediction?.stages));
  await pulumi.log.info(describeRelease(prediction, server));
  if (prediction) checkTargets(recipe, prediction, knownMemories(config.hosts), server);

  const builder = makeBuilder(config, toolchain, store, secretToken(config.huggingFaceToken));
  const results = await declareStages(plan, builder);
  const quantized = resultOf(results, "quantize");
  const artifact = store.locate(keyOf(plan, "quantize"));
  const modelFile = "model.gguf";

  const release = quantized.apply(({ files }) =>
    makeRelease({
      model: fileOf(files, modelFile),
      server: fileOf(toolchain.llamaCpp.release.files, "llama-server"),
      settings: { ...recipe.server, ...config.service },
      golden: recipe.golden,
    }),
  );
  const apiKey = new Secret("api-key", { bytes: 32 });
  const hosts = config.hosts.map((host) => makeHost(host, config.service.port, toolchain));
  const rollout = new Rollout(recipe.name, {
    hosts,
    release,
    modelFile: bringModel(store, quantized, modelFile, toolchain),
    apiKey: apiKey.value,
    toolchain,
  });

  const figures = rollout.playbooks.map(({ results: served }, index) =>
    pulumi.all([served, hosts[index]?.endpoint ?? ""]).apply(([found, endpoint]): HostFigures => {
      const { tokensPerSecond, loadSeconds, answer, warnings = [] } = found as unknown as ServiceResults;
      return { host: hosts[index]?.name ?? "", endpoint, tokensPerSecond, loadSeconds, answer, warnings };
    }),
  );
  const report = pulumi
    .all([release.digest, pulumi.all(Object.fromEntries(results)), pulumi.all(figures)])
    .apply(([digest, found, served]): Report => ({
      recipe: recipe.name,
      release: digest,
      stages: plan.map(({ name, key }) => ({ name, key, seconds: found[name]?.seconds ?? 0 })),
      models: modelFigures(new Map(Object.entries(found))),
      hosts: served,
    }));

  return {
    endpoint: hosts[0]?.endpoint,
    endpoints: Object.fromEntries(hosts.map(({ name, endpoint }) => [name, endpoint])),
    hosts: Object.fromEntries(hosts.map(({ name, connection }) => [name, connection])),
    apiKey: apiKey.value,
    artifact,
    reportPage: `${store.locate(keyOf(plan, "report"))}/report.html`,
    report,
  };
}

/** Declares every stage, each after its inputs. */
async function declareStages(
  plan: readonly PlannedStage[],
  builder: Builder,
): Promise<Map<string, pulumi.Output<JobResult>>> {
  const stages = new Map<string, Stage>();
  for (const planned of plan) {
    const upstream = Object.values(planned.inputs).flatMap((input) => stages.get(input) ?? []);
    const run = await builder.runOf(planned);
    stages.set(planned.name, new Stage(planned.name, { stage: planned, run, builder, upstream }));
  }
  return new Map([...stages].map(([name, { result }]) => [name, result]));
}

function resultOf(
  results: ReadonlyMap<string, pulumi.Output<JobResult>>,
  name: string,
): pulumi.Output<JobResult> {
  const result = results.get(name);
  if (result === undefined) throw new Error(`the plan has no stage "${name}"`);
  return result;
}

function keyOf(plan: readonly PlannedStage[], name: string): string {
  const stage = plan.find((planned) => planned.name === name);
  if (stage === undefined) throw new Error(`the plan has no stage "${name}"`);
  return stage.key;
}

function fileOf<File>(files: Readonly<Record<string, File>>, name: string): File {
  const file = files[name];
  if (file === undefined) throw new Error(`the artifact has no file ${name}`);
  return file;
}
