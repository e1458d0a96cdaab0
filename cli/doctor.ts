import { copyFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { makePrivateFolder } from "../common/private-folder.ts";
import { checkLocalDatasets } from "../infra/builder/local-datasets.ts";
import { loadFleet } from "../infra/config/fleet.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import { modelOf, servedModels } from "../infra/config/served-models.ts";
import { allCosts, allStages, planServings } from "../infra/fleet/serving.ts";
import { checkSystemPrompts } from "../infra/config/system-prompts.ts";
import { UserError } from "../common/user-error.ts";
import { sudoVars } from "../infra/ansible/sudo-password.ts";
import { closeConnections } from "../infra/ansible/run.ts";
import { judgeRoom, lookAtBuilder, roomHere } from "../infra/fleet/preflight/controller.ts";
import { expectRelease, lookVars } from "../infra/fleet/preflight/expected-release.ts";
import { attempt, type Finding } from "../infra/fleet/preflight/finding.ts";
import {
  type HostFindings,
  isError,
  lookAtBalancer,
  lookAtHosts,
  unfitHosts,
} from "../infra/fleet/preflight/look.ts";
import { formatFindings } from "../infra/fleet/preflight/table.ts";
import { checkPorts } from "../infra/fleet/ports.ts";
import { reach } from "../infra/fleet/choose-hosts.ts";
import { failuresAllowed } from "../infra/fleet/rollout/waves.ts";
import { checkFleetFlags, readKnownFlags } from "../infra/fleet/server-flags.ts";
import { checkLimits } from "../infra/prediction/limits.ts";
import { speedOnAws } from "../infra/prediction/machines.ts";
import { boardSpeeds, measuredFile } from "../infra/prediction/measured-file.ts";
import { checkCost, planCost } from "../infra/prediction/plan-cost.ts";
import { openStore } from "../infra/store/open-store.ts";
import { read } from "../infra/virtual-pi/resource.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import { Interrupts } from "./interrupts.ts";
import { pulumiText } from "./run-pulumi.ts";
import { readStackState } from "./stack-state.ts";
import { openStack, type Stack, type StackOptions } from "./stack.ts";

/** Everything that was found, and whether an `up` would come to its end. */
interface Examination {
  findings: Finding[];
  stopsUp: boolean;
}

/**
 * `./pipress doctor`: looks at this machine, the store, the builder and all hosts, runs and changes nothing, and names
 * everything that it found. Its status is 1 where an `up` would be stopped.
 */
export async function doctor(options: StackOptions & { json?: true }): Promise<number> {
  const { findings, stopsUp } = await examine(options, new Interrupts().next()).finally(closeConnections);
  if (options.json) console.log(JSON.stringify({ stopsUp, findings }, null, 2));
  else {
    console.log(formatFindings(findings));
    console.log(
      `\n${stopsUp ? "an `up` would be stopped by the errors" : "nothing keeps an `up` from its end"}`,
    );
  }
  return stopsUp ? 1 : 0;
}

async function examine(options: StackOptions, signal: AbortSignal): Promise<Examination> {
  const found: Finding[] = [];
  // What the stack's file says wrongly, a passphrase that is not its own, and tools that cannot be installed.
  const stack = await attempt(found, () => openStack(options));
  if (stack === undefined) return { findings: found, stopsUp: true };
  const { config } = stack;
  await attempt(found, () => checkStack(stack));
  const toolchain = readToolchain();
  const models = await attempt(found, () => servedModels(config));
  const fleet =
    models &&
    (await attempt(found, () =>
      loadFleet(config, toolchain.ansiblePlaybook, (host) => modelOf(models, host)),
    ));
  if (models === undefined || fleet === undefined) return { findings: found, stopsUp: true };

  const store = await attempt(found, () => openStore(config.store));
  const { aws, ssh } = config.builder ?? {};
  const measured = await attempt(found, () => boardSpeeds(stack.name, fleet));
  const warnings = measured?.warnings ?? [];
  found.push(
    ...warnings.map((what): Finding => ({ level: "warning", where: measuredFile(stack.name), what })),
  );
  const speedOf = aws && speedOnAws(aws);
  const planned = { config, models, fleet, store, toolchain, speedOf, boards: measured?.boards };
  const servings = (await attempt(found, () => planServings(planned))) ?? [];
  const [plan, costs] = [allStages(servings), allCosts(servings)];
  for (const check of [
    () =>
      checkFleetFlags(
        config,
        fleet,
        readKnownFlags(toolchain.llamaCpp.release.dir),
        toolchain.llamaCpp.version,
      ),
    () => checkPorts(config, fleet),
    () => (ssh === undefined ? checkLocalDatasets(servings, toolchain.python) : undefined),
    () => checkSystemPrompts(config, fleet, (host) => modelOf(models, host)),
    ...servings.map(
      ({ model, prediction, settings }) =>
        () =>
          prediction && checkLimits(model, prediction, settings),
    ),
    () => aws && checkCost(planCost(plan, costs, aws), aws),
  ])
    await attempt(found, check);
  if (ssh) found.push(...((await attempt(found, () => lookAtBuilder(ssh, signal))) ?? []));
  else if (store && aws === undefined) found.push(...judgeRoom(plan, costs, roomHere(store.url), store.url));

  const { stackId, virtualPis } = await readStackState(stack.fullName);
  const expected = (host: HostConfig) => {
    // None where planning failed, which was said.
    const serving = servings.find(({ isServedBy }) => isServedBy(host));
    return expectRelease(serving?.plan ?? [], serving?.prediction, toolchain, host.server);
  };
  const varsOf = (host: HostConfig) => ({
    ...lookVars(
      { build: host.build, isVirtual: "virtual" in host, takeOver: host.takeOver, prepare: host.prepare },
      expected(host),
      toolchain,
    ),
    // A host asks whether it is this stack's only where the stack has been up.
    ...(stackId !== undefined && {
      pipress_owner: { project: "pipress", stack: stack.name, id: stackId, name: host.name },
    }),
  });
  const looks = await lookAtFleet(fleet, virtualPis, varsOf, config, signal);
  const allowed = failuresAllowed(config.rollout.maxFailures, fleet.length);
  return {
    findings: [...found, ...looks.flatMap(({ findings }) => findings)],
    stopsUp: found.some(isError) || unfitHosts(looks).length > allowed,
  };
}

/** Looks at all hosts that there are; a virtual one that does not run is not, for this. */
async function lookAtFleet(
  fleet: readonly HostConfig[],
  virtualPis: ReadonlyMap<string, string>,
  varsOf: (host: HostConfig) => Record<string, unknown>,
  { endpoint, rollout }: StackConfig,
  signal: AbortSignal,
): Promise<HostFindings[]> {
  const absent: HostFindings[] = [];
  const present = lookAtBalancer(endpoint);
  for (const config of fleet) {
    const { name, unreachable } = config;
    const id = virtualPis.get(name);
    if ("virtual" in config && !(id !== undefined && (await read(id))?.running)) {
      const what =
        "a virtual Pi that does not run here: `./pipress up` makes or starts it, and looks at it then";
      absent.push({ host: name, findings: [{ level: "note", where: name, what }] });
    } else
      present.push({
        host: await reach(config, virtualPis),
        vars: varsOf(config),
        secretVars: sudoVars(config.sudoPassword),
        unreachable,
      });
  }
  console.error(`doctor: looking at ${present.length} ${present.length === 1 ? "host" : "hosts"}`);
  const log = { status: () => undefined, warn: (message: string) => void console.error(message) };
  return [...absent, ...(await lookAtHosts(present, rollout.concurrency, log, signal))];
}

/** @throws UserError where an `up` would find no stack, or has another passphrase than the stack */
async function checkStack({ fullName, name, configFile }: Stack): Promise<void> {
  const folder = await makePrivateFolder();
  try {
    // Only what encrypts needs the passphrase in any case, so a word is encrypted in a copy of the stack's file.
    const copy = join(folder, "Pulumi.copy.yaml");
    await copyFile(configFile, copy);
    const options = ["--stack", fullName, "--config-file", copy, "--non-interactive"];
    await pulumiText(["config", "set", "--secret", "doctor", "word", ...options]);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const where = `stack ${name}`;
    if (error.message.includes("no stack named"))
      throw new UserError({
        where,
        what: "is not there yet",
        remedy: `\`./pipress pulumi stack init ${fullName}\``,
      });
    if (!error.message.includes("passphrase")) throw error;
    throw new UserError({
      where,
      what: "the passphrase is not the one that it was made with",
      remedy: "set PULUMI_CONFIG_PASSPHRASE_FILE, or PULUMI_CONFIG_PASSPHRASE, to that",
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}
