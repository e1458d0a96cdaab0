import { createHash } from "node:crypto";
import type { S3Store } from "../../store/s3-store.ts";
import type { BoxSource } from "../ssh/source.ts";
import { instanceNames, type InstanceName } from "../../stage/instance-for.ts";
import { deskName } from "./names.ts";
import type { BoxCode } from "./user-data.ts";

/** A job that lies on a box's desk; `models/pipress/cloud/desk.py` says what is where. */
export interface DeskJob {
  submission: string;
  spec: { key: string; name: string; run: string };
}

/** What a box last said of a job. */
export interface DeskStatus {
  submission: string;
  key: string;
  state: "working" | "interrupted" | "done" | "failed";
  line: string;
  /** Seconds since the epoch. */
  at: number;
}

/** A box that ran, or runs. */
export interface Boot {
  box: InstanceName;
  instance: string;
  type: string;
  lifecycle: string;
  /** Seconds since the epoch; `until` is when it last said so. */
  began: number;
  until: number;
  usdPerHour: number;
  costUsd: number;
  state: "running" | "ended";
  why: string | null;
}

/** A box that has not noted itself for so long is gone, whatever it noted last: seconds. */
const staleSeconds = 180;

/** The desks of a stack's boxes, as they are seen from here. */
export class Desks {
  constructor(
    private readonly store: S3Store,
    private readonly stack: string,
  ) {}

  /** Key and run of every job that is wanted. */
  async runs(): Promise<Map<string, string>> {
    const jobs = await this.all<DeskJob>("jobs");
    return new Map(jobs.map(({ spec: { key, run } }) => [key, run]));
  }

  /** What there is to say of each job, by its key: how it is getting on, or why it failed last. */
  async lines(now = Date.now() / 1000): Promise<Map<string, string>> {
    const [jobs, statuses] = await Promise.all([this.all<DeskJob>("jobs"), this.all<DeskStatus>("status")]);
    const said = new Map(
      statuses.filter(({ state }) => state === "failed").map(({ key, line }) => [key, line]),
    );
    for (const { submission, spec } of jobs) {
      const status = statuses.find((each) => each.submission === submission);
      const isHeard = status !== undefined && (status.state !== "working" || now - status.at < staleSeconds);
      said.set(spec.key, isHeard ? status.line : `${spec.name} waiting for a box`);
    }
    return said;
  }

  /** Every box that ran for this stack, the first one first. */
  async boots(now = Date.now() / 1000): Promise<Boot[]> {
    const boots = await this.all<Boot>("boots", (boot, box) => ({ ...boot, box }));
    return boots
      .map((boot) =>
        boot.state === "running" && now - boot.until > staleSeconds
          ? { ...boot, state: "ended" as const, why: "it was not heard of again" }
          : boot,
      )
      .sort((a, b) => a.began - b.began);
  }

  /** A job's log as its box last uploaded it. */
  async log(key: string): Promise<string | undefined> {
    const found = await Promise.all(
      instanceNames.map((box) => this.store.text(this.path(box, `logs/${key}.txt`))),
    );
    return found.find((text) => text !== undefined);
  }

  /** Takes jobs away that no stage of the plan wants any more: a box would work on the oldest first. */
  async tidy(wanted: ReadonlySet<string>): Promise<void> {
    for (const box of instanceNames)
      for (const path of await this.store.paths(this.path(box, "jobs/")))
        if (!wanted.has(/([0-9a-f]{64})\.json$/.exec(path)?.[1] ?? "")) await this.store.drop(path);
  }

  /** Where a box finds the code; uploads it unless it lies there. @param upload not at a preview */
  async code({ archive }: BoxSource, upload: boolean): Promise<BoxCode> {
    const sha256 = createHash("sha256").update(archive).digest("hex");
    const path = `boxes/${this.stack}/source/${sha256}.tar.gz`;
    if (upload && !(await this.store.paths(path)).includes(path)) await this.store.put(path, archive);
    return { path, sha256 };
  }

  private async all<Document>(
    kind: string,
    place: (document: Document, box: InstanceName) => Document = (document) => document,
  ): Promise<Document[]> {
    const found = instanceNames.map(async (box) => {
      const paths = (await this.store.paths(this.path(box, `${kind}/`))).filter((path) =>
        path.endsWith(".json"),
      );
      const texts = await Promise.all(paths.map((path) => this.store.text(path)));
      return texts.flatMap((text) => (text === undefined ? [] : [place(JSON.parse(text) as Document, box)]));
    });
    return (await Promise.all(found)).flat();
  }

  private path(box: InstanceName, rest: string): string {
    return `boxes/${deskName(this.stack, box)}/${rest}`;
  }
}
