import { PlaybookFailed } from "../../ansible/playbook-failed.ts";
import { ConnectionFailure } from "../../ssh/failure.ts";
import type { Machine } from "../../ssh/machine.ts";
import { sudoVars } from "../../ansible/sudo-password.ts";
import { UserError } from "../../../common/user-error.ts";
import { formatBytes } from "../../../common/units.ts";
import type { ResourceLog } from "../../plugin/handler.ts";
import type { EndpointConfig } from "../endpoint.ts";
import { runOnHost } from "../rollout/playbook-resource.ts";
import { type Finding, parseFinding } from "./finding.ts";

/** A host that is looked at. */
export interface LookedAt {
  host: Machine;
  /** What the release there will be, as variables of the role preflight; `lookVars` makes them. None: it gets no release. */
  vars: Record<string, unknown>;
  /** What nobody may read, such as the password of sudo. */
  secretVars: Record<string, string>;
  /** What it means that the host does not answer: an error, or one that is left for the next `up`. */
  unreachable: "skip" | "fail";
}

/** A host, and everything that was found about it. */
export interface HostFindings {
  host: string;
  findings: Finding[];
}

/** What `ansible/preflight.yml` reports of a host that is to get a release. */
interface Reported {
  problems: string[];
  remarks: string[];
  model: string;
  memoryBytes: number;
  diskFreeBytes: number;
}

/** Looks at all hosts at the same time, and changes nothing there. A host that cannot be looked at is a finding, too. */
export function lookAtHosts(
  hosts: readonly LookedAt[],
  concurrency: number,
  log: ResourceLog,
  signal: AbortSignal,
): Promise<HostFindings[]> {
  const looks = hosts.map(async (looked) => ({
    host: looked.host.name,
    findings: await lookAt(looked, concurrency, log, signal),
  }));
  return Promise.all(looks);
}

async function lookAt(
  { host, vars, secretVars, unreachable }: LookedAt,
  concurrency: number,
  log: ResourceLog,
  signal: AbortSignal,
): Promise<Finding[]> {
  const { name } = host;
  try {
    const run = { playbook: "ansible/preflight.yml", host, vars, secretVars, concurrency, check: true };
    const { results } = await runOnHost(run, log, signal);
    const { problems = [], remarks = [], ...facts } = results as Partial<Reported>;
    return [
      ...problems.map((text) => parseFinding("error", name, text)),
      ...remarks.map((text) => parseFinding("warning", name, text)),
      { level: "note", where: name, what: describeHost(facts) },
    ];
  } catch (error) {
    if (!(error instanceof UserError) || signal.aborted) throw error;
    const isUnreachable = error instanceof ConnectionFailure && !error.isPermanent;
    const level = isUnreachable && unreachable === "skip" ? "warning" : "error";
    if (!(error instanceof PlaybookFailed)) return error.problems.map((problem) => ({ level, ...problem }));
    // Where the role has a remedy, it stands in its message.
    return error.problems.map(({ what, remedy }) => ({ remedy, ...parseFinding(level, name, what) }));
  }
}

function describeHost({ model, memoryBytes = 0, diskFreeBytes = 0 }: Partial<Reported>): string {
  if (model === undefined) return "answers, and its user may use sudo";
  return `${model}, ${formatBytes(memoryBytes)} of memory, ${formatBytes(diskFreeBytes)} of disk free`;
}

/** Names of the hosts that have an error. */
export function unfitHosts(looks: readonly HostFindings[]): string[] {
  return looks.filter(({ findings }) => findings.some(isError)).map(({ host }) => host);
}

export function isError({ level }: Finding): boolean {
  return level === "error";
}

/** The host of the endpoint, where it is none of the fleet. */
export function lookAtBalancer(endpoint: EndpointConfig | undefined): LookedAt[] {
  if (typeof endpoint?.host !== "object") return [];
  const { sudoPassword, ...host } = endpoint.host;
  return [{ host, vars: {}, secretVars: sudoVars(sudoPassword), unreachable: "fail" }];
}
