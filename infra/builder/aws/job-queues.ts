import { createHash } from "node:crypto";
import { instanceNames, type InstanceName } from "../../stage/instance-for.ts";
import type { S3Store } from "../../store/s3-store.ts";
import type { PackedSource } from "../ssh/source.ts";
import { queueName } from "./names.ts";
import type { InstanceRecord } from "./instance-records.ts";

/** A job in an instance's queue; `models/pipress/cloud/job_queue.py` says what is where. */
export interface QueuedJob {
  submission: string;
  spec: { key: string; name: string; run: string };
}

/** What an instance last reported of a job. */
export interface JobStatus {
  submission: string;
  key: string;
  state: "working" | "interrupted" | "done" | "failed";
  line: string;
  /** Seconds since the epoch. */
  at: number;
}

/** The code that an instance fetches: its object below the store's prefix, and the digest of what is there. */
export interface SourceObject {
  path: string;
  sha256: string;
}

/** An instance that has not reported for so long is gone, whatever it reported last: seconds. */
const staleSeconds = 180;

/** Where an instance of a stack finds the code. */
export function sourceObject(stack: string, { archive }: PackedSource): SourceObject {
  const sha256 = createHash("sha256").update(archive).digest("hex");
  return { path: `boxes/${stack}/source/${sha256}.tar.gz`, sha256 };
}

/** The job queues of a stack's instances, as they are seen from here. */
export class JobQueues {
  constructor(
    private readonly store: S3Store,
    /** Its `sharedName`. */
    private readonly stack: string,
  ) {}

  /** Key and run of every job that is wanted. */
  async runs(): Promise<Map<string, string>> {
    const jobs = await this.all<QueuedJob>("jobs");
    return new Map(jobs.map(({ spec: { key, run } }) => [key, run]));
  }

  /** What there is to say of each job, by its key: how it is getting on, or why it failed last. */
  async lines(now = Date.now() / 1000): Promise<Map<string, string>> {
    const [jobs, statuses] = await Promise.all([this.all<QueuedJob>("jobs"), this.all<JobStatus>("status")]);
    const lines = new Map(
      statuses.filter(({ state }) => state === "failed").map(({ key, line }) => [key, line]),
    );
    for (const { submission, spec } of jobs) {
      const status = statuses.find((one) => one.submission === submission);
      const isHeard = status !== undefined && (status.state !== "working" || now - status.at < staleSeconds);
      lines.set(spec.key, isHeard ? status.line : `${spec.name} waiting for an instance`);
    }
    return lines;
  }

  /** Every instance that ran for this stack, the first one first. */
  async instances(now = Date.now() / 1000): Promise<InstanceRecord[]> {
    // `boots`: the folder's name in buckets that exist.
    const records = await this.all<InstanceRecord>("boots", (record, name) => ({ ...record, name }));
    return records
      .map((record) =>
        record.state === "running" && now - record.until > staleSeconds
          ? { ...record, state: "ended" as const, why: "it was not heard of again" }
          : record,
      )
      .sort((a, b) => a.began - b.began);
  }

  /** A job's log as its instance last uploaded it. */
  async log(key: string): Promise<string | undefined> {
    const logs = await Promise.all(
      instanceNames.map((instance) => this.store.text(this.path(instance, `logs/${key}.txt`))),
    );
    return logs.find((text) => text !== undefined);
  }

  /** Removes jobs that no stage of the plan wants any more: an instance would work on the oldest first. */
  async removeUnwanted(wanted: ReadonlySet<string>): Promise<void> {
    for (const instance of instanceNames)
      for (const path of await this.store.paths(this.path(instance, "jobs/")))
        if (!wanted.has(/([0-9a-f]{64})\.json$/.exec(path)?.[1] ?? "")) await this.store.drop(path);
  }

  /** Copies what jobs of the plan saved while the stack had another name here: they resume from it. */
  async takeCheckpoints(earlierStack: string, wanted: readonly string[]): Promise<void> {
    const earlier = new JobQueues(this.store, earlierStack);
    for (const instance of instanceNames) {
      const paths = new Set(await this.store.paths(earlier.path(instance, "checkpoints/")));
      for (const key of wanted) {
        const from = earlier.path(instance, `checkpoints/${key}.tar`);
        if (paths.has(from)) await this.store.copy(from, this.path(instance, `checkpoints/${key}.tar`));
      }
    }
  }

  /** Uploads the code unless it is there. */
  async upload(source: PackedSource): Promise<void> {
    const { path } = sourceObject(this.stack, source);
    if (!(await this.store.paths(path)).includes(path)) await this.store.put(path, source.archive);
  }

  private async all<Document>(
    kind: string,
    complete: (document: Document, instance: InstanceName) => Document = (document) => document,
  ): Promise<Document[]> {
    const documents = instanceNames.map(async (instance) => {
      const paths = (await this.store.paths(this.path(instance, `${kind}/`))).filter((path) =>
        path.endsWith(".json"),
      );
      const texts = await Promise.all(paths.map((path) => this.store.text(path)));
      return texts.flatMap((text) =>
        text === undefined ? [] : [complete(JSON.parse(text) as Document, instance)],
      );
    });
    return (await Promise.all(documents)).flat();
  }

  private path(instance: InstanceName, rest: string): string {
    return `boxes/${queueName(this.stack, instance)}/${rest}`;
  }
}
