import * as pulumi from "@pulumi/pulumi";
import type { Builder } from "../infra/stage/builder.ts";
import { makeBuilder } from "../infra/builder/make-builder.ts";
import { secretToken } from "../infra/builder/hugging-face-token.ts";
import type { JobResult } from "../infra/stage/job.ts";
import { loadFleet } from "../infra/config/fleet.ts";
import { parseStackConfig } from "../infra/config/load.ts";
import { resolveServer, type ServerSettings } from "../infra/config/server-settings.ts";
import { checkSystemPrompts, systemPromptsOf } from "../infra/config/system-prompts.ts";
import { makeEndpoint } from "../infra/fleet/endpoint.ts";
import { checkAllowFrom, describeClearText } from "../infra/fleet/exposure.ts";
import { makeHost } from "../infra/fleet/host.ts";
import { hostsOfLastUp, renamedHosts, thisStack } from "../infra/fleet/owner.ts";
import { expectRelease } from "../infra/fleet/preflight/expected-release.ts";
import { isLong, makePreflight } from "../infra/fleet/preflight/preflight.ts";
import { checkPorts, furtherPorts } from "../infra/fleet/ports.ts";
import type { PlannedStage } from "../infra/stage/planned.ts";
import { planModel } from "../infra/prediction/forecast.ts";
import { describePlan, describeRelease } from "../infra/prediction/describe.ts";
import { predict, predictFetched } from "../infra/prediction/predict.ts";
import { distinctSettings } from "../infra/prediction/host-settings.ts";
import { longestAnswer } from "../infra/prediction/answer-time.ts";
import { checkLimits, contextWarnings } from "../infra/prediction/limits.ts";
import { boardSpeeds, measuredFile } from "../infra/prediction/measured-file.ts";
import { memoryMax, promptCacheBytes } from "../infra/prediction/memory.ts";
import { describeModel, isRecipe, loadModel } from "../infra/model/model.ts";
import { releaseStage } from "../infra/plan/graph.ts";
import { makeRelease } from "../infra/fleet/release.ts";
import { checkFleetFlags, readKnownFlags } from "../infra/fleet/server-flags.ts";
import { stateFile, systemPromptStages, systemPromptStates } from "../infra/fleet/system-prompts.ts";
import { hostFigures, modelFigures, type Report } from "../infra/fleet/report.ts";
import { Rollout, type RolloutArgs } from "../infra/fleet/rollout/rollout.ts";
import { Secret } from "../infra/provider/secret.ts";
import { StackId } from "../infra/provider/stack-id.ts";
import { speedOnAws } from "../infra/prediction/machines.ts";
import { checkSudoPasswords } from "../infra/fleet/sudo-passwords.ts";
import { Stage } from "../infra/stage/stage.ts";
import { fileOf } from "../infra/store/manifest.ts";
import { defaultStore, openStore } from "../infra/store/open-store.ts";
import { readToolchain } from "../toolchain/toolchain.ts";

/** A model, compressed by its recipe or ready, and the hosts that serve it. */
export async function fleetStack(): Promise<Record<string, unknown>> {
  const config = parseStackConfig(pulumi.runtime.allConfig());
  const stackId = new StackId("stack-id");
  const model = loadModel(config);
  const toolchain = readToolchain();
  const fleet = await loadFleet(config, toolchain.ansiblePlaybook, model);
  const { llamaCpp } = toolchain;
  const knownFlags = readKnownFlags(llamaCpp.release.dir);
  checkFleetFlags(config, fleet, knownFlags, llamaCpp.version);
  checkPorts(config, fleet);
  checkSystemPrompts(config, fleet, model);
  checkSudoPasswords(config);
  checkAllowFrom(config, fleet);
  const clearText = describeClearText(config, fleet);
  if (clearText !== undefined) await pulumi.log.warn(clearText);
  const storeName = config.store ?? defaultStore;
  const store = await openStore(storeName);

  const server = resolveServer(model.server, config.server);
  const { stages, stageOf } = systemPromptStages([server, ...fleet.map((host) => host.server)]);
  const plan = await planModel(model, store, toolchain, stages);
  const aws = config.builder?.aws;
  const { boards, warnings } = boardSpeeds(pulumi.getStack(), fleet);
  for (const warning of warnings) await pulumi.log.warn(`${measuredFile(pulumi.getStack())}: ${warning}`);
  const prediction = predict(model, plan, server, aws && speedOnAws(aws), boards);
  await pulumi.log.info(describePlan(plan, prediction?.stages));
  if (config.builder === undefined && plan.some(({ artifact }) => artifact === undefined))
    for (const lack of await store.probe()) await pulumi.log.warn(`${store.url} ${lack}`);
  const settings = distinctSettings(fleet, server);
  await pulumi.log.info(describeRelease(model, prediction, settings));
  if (prediction) {
    checkLimits(model, prediction, settings);
    for (const warning of contextWarnings(model, prediction, settings)) await pulumi.log.warn(warning);
  }

  const huggingFaceToken = secretToken(config.huggingFaceToken);
  const builder =
    aws === undefined
      ? await makeBuilder(config, huggingFaceToken)
      : await (
          await import("./build.ts")
        ).buildPart({ stackId, aws, plan, prediction, store: store.url, huggingFaceToken });
  const hosts = fleet.map((host) =>
    makeHost(host, furtherPorts(config, host.name), toolchain, stackId.value),
  );
  const owner = thisStack(stackId.value);
  const expected = (settings: ServerSettings) => expectRelease(plan, prediction, toolchain, settings);
  const preflight = makePreflight({ hosts, plan, expected, config, owner, toolchain });
  const after = (stage: PlannedStage) => (preflight && isLong(stage, prediction) ? [preflight] : []);
  const results = await declareStages(plan, builder, storeName, after);
  const fetched = resultOf(results, "fetch");
  const released = releaseStage(plan);
  const modelFile = "model.gguf";

  const statesOf = (settings: ServerSettings) =>
    systemPromptStates(settings, stageOf, (stage) => resultOf(results, stage));
  const releaseWith = (settings: ServerSettings) =>
    pulumi
      .all([fetched, resultOf(results, released), statesOf(settings)])
      .apply(([base, { files }, states]) => {
        const file = fileOf(files, modelFile);
        const { shape } = predictFetched(model, plan, base, settings);
        return makeRelease({
          name: model.name,
          model: file,
          server: fileOf(toolchain.llamaCpp.release.files, "llama-server"),
          settings,
          ...(states.length > 0 && {
            systemPrompts: states,
            cacheRamMiB: promptCacheBytes(shape, settings) / 2 ** 20,
          }),
          memoryMax: memoryMax(shape, file.bytes, settings),
          smokeTest: model.smokeTest,
        });
      });
  const apiKey = new Secret("api-key", { bytes: 32 });
  const args: RolloutArgs = {
    hosts,
    owner,
    renamed: renamedHosts(
      fleet.map((host) => ("machine" in host ? host.machine : { name: host.name })),
      await hostsOfLastUp(),
    ),
    steps: config.rollout,
    releaseOf: (host) => releaseWith(host.server),
    modelFile: { store: storeName, key: keyOf(plan, released), file: modelFile },
    stateFiles: ({ server: settings }) =>
      systemPromptsOf(settings).map((prompt) => {
        const stage = stageOf(prompt, settings);
        const source = { store: storeName, key: keyOf(plan, stage), file: stateFile };
        return resultOf(results, stage).apply(({ files }) => {
          const { sha256, bytes } = fileOf(files, stateFile);
          return { sha256, bytes, source };
        });
      }),
    apiKey: apiKey.value,
    monitoring: config.monitoring,
    ...(config.endpoint && { endpoint: config.endpoint }),
    toolchain,
  };
  // It was named by the recipe once; with another recipe its hosts would have been taken for new ones.
  const rollout = new Rollout("fleet", args, [model.name]);

  const answerSeconds = fetched.apply((base) =>
    Math.max(
      0,
      ...hosts.map((host) =>
        longestAnswer(predictFetched(model, plan, base, host.server, boards), host.server),
      ),
    ),
  );
  const endpoint =
    config.endpoint && makeEndpoint(config.endpoint, hosts, answerSeconds, owner, config.takeOver);

  const figures = hosts.flatMap(({ name, baseUrl }) => {
    const playbook = rollout.playbooks.get(name);
    if (playbook === undefined) return [];
    return pulumi
      .all([baseUrl, playbook.results, playbook.outcome])
      .apply(([url, results, outcome]) => hostFigures(name, url, results, outcome));
  });
  const report = pulumi
    .all([releaseWith(server).digest, pulumi.all(Object.fromEntries(results)), pulumi.all(figures)])
    .apply(([digest, stageResults, hostReports]): Report => ({
      model: describeModel(model),
      release: digest,
      stages: plan.map(({ name, key }) => ({ name, key, seconds: stageResults[name]?.seconds ?? 0 })),
      models: modelFigures(new Map(Object.entries(stageResults))),
      hosts: hostReports,
    }));

  return {
    baseUrl: endpoint ?? hosts[0]?.baseUrl,
    baseUrls: Object.fromEntries(hosts.map(({ name, baseUrl }) => [name, baseUrl])),
    hosts: Object.fromEntries(hosts.map(({ name, connection }) => [name, connection])),
    apiKey: apiKey.value,
    stackId: stackId.value,
    modelPath: `${store.locate(keyOf(plan, released))}/${modelFile}`,
    ...(isRecipe(model) && { reportUrl: `${store.locate(keyOf(plan, "report"))}/report.html` }),
    report,
  };
}

/** Declares every stage, each after its inputs and what else it has to wait for. */
async function declareStages(
  plan: readonly PlannedStage[],
  builder: Builder,
  store: string,
  after: (stage: PlannedStage) => readonly pulumi.Resource[],
): Promise<Map<string, pulumi.Output<JobResult>>> {
  const stages = new Map<string, Stage>();
  for (const planned of plan) {
    const upstream = Object.values(planned.inputs).flatMap((input) => stages.get(input) ?? []);
    const run = await builder.runOf(planned);
    const args = { stage: planned, run, builder, store, upstream, after: after(planned) };
    stages.set(planned.name, new Stage(planned.name, args));
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
