import { z } from "zod";
import { UserError } from "../../../common/user-error.ts";
import { machineSchema } from "../../ssh/machine.ts";
import type { Args } from "../../plugin/args.ts";
import { checkAgainst } from "../../plugin/check-against.ts";
import type { Call, DiffResult, Props, ResourceHandler } from "../../plugin/handler.ts";
import { isError, lookAtHosts, unfitHosts } from "./look.ts";

const lookedAt = z.strictObject({
  host: machineSchema,
  vars: z.record(z.string(), z.unknown()),
  secretVars: z.record(z.string(), z.string()),
  unreachable: z.enum(["skip", "fail"]),
});

const schema = z.strictObject({
  /** Stages that have to run: key by name. Without one nobody looks. */
  stages: z.record(z.string(), z.string()),
  hosts: z.array(lookedAt).min(1),
  /** Hosts that may have errors without stopping the run. */
  maxFailures: z.int().min(0),
  /** Maximum concurrent hosts. */
  concurrency: z.int().min(1),
});

export type PreflightArgs = Args<z.input<typeof schema>>;
type Inputs = z.infer<typeof schema>;

/**
 * Looks at all hosts while a stage has to run, every time, however often that was done before: a host may have changed since.
 * Once all stages are in the store there is nothing to stop any more, and the rollout looks at each host by itself.
 */
export const preflightResource: ResourceHandler = {
  check: (inputs) => checkAgainst(schema, inputs),
  diff: (_, news): DiffResult => ({ changes: hasStages(news) ? { stages: { kind: "update" } } : {} }),
  create: async (inputs, call) => ({ id: call.name, state: await look(inputs, call) }),
  update: (_, inputs, call) => look(inputs, call),
  previewCreate: () => ({}),
  previewUpdate: () => ({}),
};

function hasStages({ stages }: Props): boolean {
  return Object.keys((stages ?? {}) as object).length > 0;
}

/** @throws UserError with all errors of all hosts, where more have one than may */
async function look(given: Props, { log, signal, name: where }: Call): Promise<Props> {
  if (!hasStages(given)) return {};
  const { hosts, concurrency, maxFailures } = given as Inputs;
  const looks = await lookAtHosts(hosts, concurrency, log, signal);
  const errors = looks.flatMap(({ findings }) => findings.filter(isError));
  const unfit = unfitHosts(looks);
  if (unfit.length <= maxFailures) {
    for (const { where, what } of errors) log.warn(`${where}: ${what}; it will be left behind`);
    return {};
  }
  const count = `${unfit.length} of ${hosts.length} ${hosts.length === 1 ? "host is" : "hosts are"}`;
  throw new UserError([
    ...errors,
    {
      where,
      what: `${count} not ready for a release where ${maxFailures} may be; no further stage was started`,
      remedy:
        "put it right and run `pulumi up` again; `./pipress doctor` looks at all hosts and runs nothing",
    },
  ]);
}
