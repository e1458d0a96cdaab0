import * as pulumi from "@pulumi/pulumi";
import type { Builder } from "../infra/stage/builder.ts";
import { checkLocalDatasets } from "../infra/builder/local-datasets.ts";
import { makeBuilder } from "../infra/builder/make-builder.ts";
import { secretToken } from "../infra/builder/hugging-face-token.ts";
import type { JobResult } from "../infra/stage/job.ts";
import { loadFleet } from "../infra/config/fleet.ts";
import { parseStackConfig } from "../infra/config/load.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import { modelOf, servedBy, servedModels } from "../infra/config/served-models.ts";
import type { ServerSettings } from "../infra/config/server-settings.ts";
import { checkSystemPrompts, systemPromptsOf } from "../infra/config/system-prompts.ts";
import { makeEndpoint } from "../infra/fleet/endpoint.ts";
import { checkAllowFrom, describeClearText, locate } from "../infra/fleet/exposure.ts";
import { makeHost, type Host } from "../infra/fleet/host.ts";
import { allCosts, allStages, planServings, type Serving } from "../infra/fleet/serving.ts";
import { lastUp, reportOfAll, withOthers } from "../infra/fleet/last-up.ts";
import { renamedHosts, thisStack } from "../infra/fleet/owner.ts";
import { expectRelease } from "../infra/fleet/preflight/expected-release.ts";
import { isLong, makePreflight } from "../infra/fleet/preflight/preflight.ts";
import { checkPorts, furtherPorts } from "../infra/fleet/ports.ts";
import type { PlannedStage } from "../infra/stage/planned.ts";
import { describePlan, describeRelease } from "../infra/prediction/describe.ts";
import { predictFetched } from "../infra/prediction/predict.ts";
import { longestAnswer } from "../infra/prediction/answer-time.ts";
import { checkLimits, contextWarnings } from "../infra/prediction/limits.ts";
import type { BoardSpeeds } from "../infra/prediction/board-speeds.ts";
import { boardSpeeds, measuredFile } from "../infra/prediction/measured-file.ts";
import { memoryMax, promptCacheBytes, usedContext } from "../infra/prediction/memory.ts";
import { describeModel, isRecipe } from "../infra/model/model.ts";
import { releaseStage } from "../infra/plan/graph.ts";
import { makeRelease, testOf } from "../infra/fleet/release.ts";
import { checkFleetFlags, readKnownFlags } from "../infra/fleet/server-flags.ts";
import { stateFile, systemPromptStates } from "../infra/fleet/system-prompts.ts";
import { hostFigures, modelFigures, type Report } from "../infra/fleet/report.ts";
import { partOfFleet, partPrefix } from "../infra/fleet/rollout/part.ts";
import { Rollout, type RolloutArgs } from "../infra/fleet/rollout/rollout.ts";
import { Secret } from "../infra/provider/secret.ts";
import { StackId } from "../infra/provider/stack-id.ts";
import { speedOnAws } from "../infra/prediction/machines.ts";
import { checkWebPage, makeWebPage } from "../infra/fleet/web-page.ts";
import { checkSudoPasswords } from "../infra/fleet/sudo-passwords.ts";
import { Stage } from "../infra/stage/stage.ts";
import { fileOf } from "../infra/store/manifest.ts";
import type { Store } from "../infra/store/store.ts";
import { defaultStore, openStore } from "../infra/store/open-store.ts";
import { cacheDir } from "../common/paths.ts";
import { UserError } from "../common/user-error.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import type { WebPage } from "../toolchain/web-page/index.ts";

const modelFile = "model.gguf";

/** Models, compressed by their recipes or ready, and the hosts that serve them. */
export async function fleetStack(): Promise<Record<string, unknown>> {
  const config = parseStackConfig(pulumi.runtime.allConfig());
  const stackId = new StackId("stack-id");
  const models = servedModels(config);
  const toolchain = readToolchain();
  const fleet = await loadFleet(config, toolchain.ansiblePlaybook, (host) => modelOf(models, host));
  const part = partOfFleet();
  const chosen = part === undefined ? fleet : fleet.filter(({ name }) => part.has(name));
  const { llamaCpp } = toolchain;
  const knownFlags = readKnownFlags(llamaCpp.release.dir);
  checkFleetFlags(config, fleet, knownFlags, llamaCpp.version);
  checkPorts(config, fleet);
  checkSystemPrompts(config, fleet, (host) => modelOf(models, host));
  checkSudoPasswords(config);
  checkAllowFrom(config, fleet);
  checkWebPage(config, fleet);
  const clearText = describeClearText(config, fleet);
  if (clearText !== undefined) await pulumi.log.warn(clearText);
  const storeName = config.store ?? defaultStore;
  const store = await openStore(storeName);

  const aws = config.builder?.aws;
  const { boards, warnings } = boardSpeeds(pulumi.getStack(), fleet);
  for (const warning of warnings) await pulumi.log.warn(`${measuredFile(pulumi.getStack())}: ${warning}`);
  const speedOf = aws && speedOnAws(aws);
  const servings = await planServings({ config, models, fleet: chosen, store, toolchain, speedOf, boards });
  if (config.builder?.ssh === undefined) await checkLocalDatasets(servings, toolchain.python);
  const [plan, costs] = [allStages(servings), allCosts(servings)];
  await pulumi.log.info(describePlan(plan, costs));
  if (config.builder === undefined && plan.some(({ artifact }) => artifact === undefined))
    for (const lack of await store.probe()) await pulumi.log.warn(`${store.url} ${lack}`);
  for (const { model, prediction, settings } of servings) {
    const title = servings.length > 1 ? `${describeModel(model)}: ` : "";
    await pulumi.log.info(title + describeRelease(model, prediction, settings));
  }
  checkEveryLimit(servings);
  for (const { model, prediction, settings } of servings)
    for (const warning of prediction ? contextWarnings(model, prediction, settings) : [])
      await pulumi.log.warn(warning);

  const page = [...fleet, ...servings].some(({ server }) => server.ui) ? await buildWebPage() : undefined;
  const huggingFaceToken = secretToken(config.huggingFaceToken);
  const builder =
    aws === undefined
      ? await makeBuilder(config, huggingFaceToken)
      : await (
          await import("./build.ts")
        ).buildPart({ stackId, aws, plan, costs, store: store.url, huggingFaceToken });
  const hosts = chosen.map((host) =>
    makeHost(host, furtherPorts(config, host.name), toolchain, stackId.value),
  );
  const owner = thisStack(stackId.value);
  const expected = (host: Host) => {
    const { plan: stages, prediction } = servedBy(servings, host);
    return expectRelease(stages, prediction, toolchain, host.server);
  };
  const preflight = makePreflight({ hosts, plan, expected, config, owner, toolchain });
  const apiKey = new Secret("api-key", { bytes: 32 });
  const last = await lastUp();
  const renamed = renamedHosts(
    fleet.map((host) => ("machine" in host ? host.machine : { name: host.name })),
    last.hosts,
  );
  const declared: Declared[] = [];
  for (const serving of servings)
    declared.push(
      await declareServing(serving, {
        ...{ builder, storeName, preflight, hosts, owner, renamed, config, toolchain, boards, page },
        ...{ fleet, isPart: part !== undefined },
        apiKey: apiKey.value,
      }),
    );

  const answerSeconds = pulumi
    .all(declared.map((one) => one.answerSeconds))
    .apply((seconds) => Math.max(0, ...seconds));
  // For a part of the fleet the balancer stays as it is, and so does its address.
  const endpoint =
    config.endpoint && part === undefined
      ? makeEndpoint(
          config.endpoint,
          hosts,
          (host) => modelOf(models, host).name,
          answerSeconds,
          owner,
          config.takeOver,
        )
      : undefined;

  const figures = hosts.flatMap(({ name, baseUrl }) => {
    const playbook = declared.map(({ playbooks }) => playbooks.get(name)).find(Boolean);
    if (playbook === undefined) return [];
    return pulumi
      .all([baseUrl, playbook.results, playbook.outcome])
      .apply(([url, results, outcome]) => hostFigures(name, url, results, outcome));
  });
  const [own] = declared;
  const report = pulumi
    .all([
      own?.release ?? "",
      pulumi.all(declared.map(({ results }) => pulumi.all(Object.fromEntries(results)))),
      pulumi.all(figures),
    ])
    .apply(([release, results, hostReports]): Report => ({
      model: servings.map(({ model }) => describeModel(model)).join(", "),
      release,
      stages: servings.flatMap(({ plan: stages, prefix }, index) =>
        stages.map(({ name, key }) => ({
          name: prefix + name,
          key,
          seconds: results[index]?.[name]?.seconds ?? 0,
        })),
      ),
      models: modelFigures(new Map(Object.entries(results[0] ?? {}))),
      hosts: hostReports,
    }));

  const now = {
    baseUrl: endpoint ?? hosts[0]?.baseUrl,
    baseUrls: Object.fromEntries(hosts.map(({ name, baseUrl }) => [name, baseUrl])),
    hosts: Object.fromEntries(hosts.map(({ name, connection }) => [name, connection])),
    ...(servings[0] && artifactsOf(servings[0], store)),
    report,
  };
  const keys = { apiKey: apiKey.value, stackId: stackId.value };
  if (part === undefined) return { ...now, ...keys };

  const former = new Set(hosts.flatMap(({ name }) => renamed.get(name) ?? []));
  const servesOwnModel = servings[0]?.prefix === "";
  return {
    ...now,
    ...(!servesOwnModel && { modelPath: last.modelPath, reportUrl: last.reportUrl }),
    baseUrl: last.baseUrl ?? now.baseUrl,
    baseUrls: withOthers(now.baseUrls, last.baseUrls, former),
    hosts: withOthers(now.hosts, last.hosts, former),
    report: report.apply((its) => reportOfAll(its, last.report, former, servesOwnModel)),
    ...keys,
  };
}

function buildWebPage(): Promise<WebPage> {
  const note = (line: string) => void pulumi.log.info(line, undefined, undefined, true);
  return makeWebPage(cacheDir(), note, (line) => pulumi.log.info(line));
}

/** @throws UserError with what every model misses */
function checkEveryLimit(servings: readonly Serving[]): void {
  const problems = servings.flatMap(({ model, prediction, settings }) => {
    try {
      if (prediction) checkLimits(model, prediction, settings);
      return [];
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return error.problems;
    }
  });
  if (problems.length > 0) throw new UserError(problems);
}

/** Where the model is, and the report of its recipe. */
function artifactsOf({ model, plan }: Serving, store: Store): Record<string, string> {
  return {
    modelPath: `${store.locate(keyOf(plan, releaseStage(plan)))}/${modelFile}`,
    ...(isRecipe(model) && { reportUrl: `${store.locate(keyOf(plan, "report"))}/report.html` }),
  };
}

/** What all models of a stack have in common. */
interface Common extends Pick<RolloutArgs, "owner" | "renamed" | "apiKey" | "toolchain" | "page"> {
  builder: Builder;
  storeName: string;
  preflight: pulumi.Resource | undefined;
  /** All that this run is for. */
  hosts: readonly Host[];
  /** All of the stack. */
  fleet: readonly HostConfig[];
  /** Whether this run is for a part of them. */
  isPart: boolean;
  config: StackConfig;
  boards: BoardSpeeds;
}

/** What came of declaring a model. */
interface Declared {
  /** By stage. */
  results: ReadonlyMap<string, pulumi.Output<JobResult>>;
  playbooks: Rollout["playbooks"];
  /** Digest of its release under the settings of a host that has none of its own. */
  release: pulumi.Output<string>;
  /** How long a host may be at work on one request. */
  answerSeconds: pulumi.Output<number>;
}

/** Declares a model's stages, and the rollout of its release to the hosts that serve it. */
async function declareServing(serving: Serving, common: Common): Promise<Declared> {
  const { model, prefix, plan, prediction, server, systemPromptStage: stageOf } = serving;
  const { storeName, preflight, config, toolchain, owner, renamed, apiKey, boards, page, fleet, isPart } =
    common;
  const hosts = common.hosts.filter(serving.isServedBy);
  const after = (stage: PlannedStage) => (preflight && isLong(stage, prediction) ? [preflight] : []);
  const results = await declareStages(serving, common.builder, storeName, after);
  const fetched = resultOf(results, "fetch");
  const released = releaseStage(plan);

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
          settings: { ...settings, contextLength: usedContext(shape, settings) },
          ...(page && settings.ui && { page }),
          ...(states.length > 0 && {
            systemPrompts: states,
            cacheRamMiB: promptCacheBytes(shape, settings) / 2 ** 20,
          }),
          memoryMax: memoryMax(shape, file.bytes, settings),
          ...testOf(model, base),
        });
      });
  const args: RolloutArgs = {
    ...{ hosts, owner, renamed, apiKey, toolchain, page },
    prefix: isPart ? prefix + partPrefix : prefix,
    fleetSize: fleet.filter(serving.isServedBy).length,
    fleet: fleet.map(locate),
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
    monitoring: config.monitoring,
    ...(config.endpoint && { endpoint: config.endpoint }),
  };
  // It was named by the recipe once; with another recipe its hosts would have been taken for new ones.
  const { playbooks } = new Rollout(`${prefix}fleet`, args, prefix === "" ? [model.name] : []);
  const answerSeconds = fetched.apply((base) =>
    Math.max(
      0,
      ...hosts.map((host) =>
        longestAnswer(predictFetched(model, plan, base, host.server, boards), host.server),
      ),
    ),
  );
  return { results, playbooks, release: releaseWith(server).digest, answerSeconds };
}

/** Declares every stage of a model, each after its inputs and what else it has to wait for. */
async function declareStages(
  { plan, prefix }: Serving,
  builder: Builder,
  store: string,
  after: (stage: PlannedStage) => readonly pulumi.Resource[],
): Promise<Map<string, pulumi.Output<JobResult>>> {
  const stages = new Map<string, Stage>();
  for (const planned of plan) {
    const upstream = Object.values(planned.inputs).flatMap((input) => stages.get(input) ?? []);
    const run = await builder.runOf(planned);
    const args = { stage: planned, run, builder, store, upstream, after: after(planned) };
    stages.set(planned.name, new Stage(prefix + planned.name, args));
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
