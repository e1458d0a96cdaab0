import { z } from "zod";

const common = { role: z.string().nullish(), task: z.string().nullish(), host: z.string().nullish() };

/** A task begins, a play begins, or a task tries once more (`until`). */
const begun = z.looseObject({ ...common, event: z.enum(["task", "play", "retry"]) });

const finished = z.looseObject({
  ...common,
  event: z.enum(["ok", "changed", "failed", "skipped", "unreachable"]),
  msg: z.string().nullish(),
  diff: z.unknown().optional(),
  /** The play goes on in spite of it (`ignore_errors`, `rescue`). */
  ignored: z.boolean().nullish(),
});

const facts = z.record(z.string(), z.unknown());

/** The play is over; what tasks reported for all hosts, and by host. */
const stats = z.looseObject({
  event: z.literal("stats"),
  custom: facts.nullish(),
  customByHost: z.record(z.string(), facts).nullish(),
});

const event = z.discriminatedUnion("event", [begun, finished, stats]);

/** What the callback plugin `pipress_events` says, one JSON object a line. */
export type AnsibleEvent = z.infer<typeof event>;
export type TaskFinished = z.infer<typeof finished>;

/** The event on a line of ansible-playbook's output; undefined for anything else it prints. */
export function parseEvent(line: string): AnsibleEvent | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return event.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
