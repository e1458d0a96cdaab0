import { formatDuration } from "../../common/units.ts";
import type { AnsibleEvent, TaskFinished } from "./events.ts";

/** A run in figures. */
export interface Recap {
  ok: number;
  changed: number;
  skipped: number;
  failed: number;
  /** Tasks begun. */
  tasks: number;
  seconds: number;
  /** `role: what changed`, in order. */
  changedTasks: string[];
}

/** Keeps account of what a run of a playbook does on one host, event by event. */
export class PlaybookProgress {
  readonly #started: number;
  #task = "connecting";
  readonly #recap = { ok: 0, changed: 0, skipped: 0, failed: 0, tasks: 0, changedTasks: [] as string[] };
  failure: TaskFinished | undefined;
  /** Ansible has reported how the play ended. */
  isOver = false;
  results: Record<string, unknown> = {};

  /** @param expectedTasks how many tasks the last run had, for "3/14" */
  constructor(
    private readonly host: string,
    private readonly expectedTasks = 0,
    private readonly now: () => number = Date.now,
  ) {
    this.#started = now();
  }

  apply(event: AnsibleEvent): void {
    switch (event.event) {
      case "task":
        this.#task = describeTask(event);
        this.#recap.tasks += 1;
        break;
      case "stats":
        this.isOver = true;
        this.results = { ...event.custom, ...event.customByHost?.[this.host] };
        break;
      case "ok":
      case "skipped":
        this.#recap[event.event] += 1;
        break;
      case "changed":
        this.#recap.changed += 1;
        this.#recap.changedTasks.push(describeChange(event));
        break;
      case "failed":
      case "unreachable":
        if (event.ignored === true) break;
        this.#recap.failed += 1;
        // What fails after the first failure (a rescue, a clean-up) is seldom the reason.
        this.failure ??= event;
    }
  }

  get recap(): Recap {
    return { ...this.#recap, seconds: Math.round(this.#elapsed) };
  }

  /** `pi-0: server · activate the release (3/14, 12 s)`. */
  get status(): string {
    const { tasks } = this.#recap;
    const ofExpected = tasks <= this.expectedTasks ? `/${this.expectedTasks}` : "";
    const count = tasks === 0 ? "" : `${tasks}${ofExpected}, `;
    return `${this.host}: ${this.#task} (${count}${formatDuration(this.#elapsed)})`;
  }

  get #elapsed(): number {
    return (this.now() - this.#started) / 1000;
  }
}

/** `role · task`; Ansible repeats the role in front of a task's name. */
export function describeTask({ role, task }: { role?: string | null; task?: string | null }): string {
  const name = task ?? "task";
  if (role === undefined || role === null || role === "") return name;
  return `${role} · ${name.startsWith(`${role} : `) ? name.slice(role.length + 3) : name}`;
}

/** `role: task — detail`: the detail is the module's own message, or the file in question. */
function describeChange(event: TaskFinished): string {
  const detail = event.msg ?? diffPath(event.diff);
  return describeTask(event).replace(" · ", ": ") + (detail ? ` — ${detail}` : "");
}

/** The file that Ansible's `--diff` speaks of, from its headers: `before: /etc/x`. */
function diffPath(diff: unknown): string | undefined {
  const first: unknown = Array.isArray(diff) ? diff[0] : diff;
  if (first === null || typeof first !== "object") return undefined;
  const { before_header: before, after_header: after } = first as Record<string, unknown>;
  const header = typeof before === "string" ? before : after;
  return typeof header === "string" ? header.replace(/ \(content\)$/, "") : undefined;
}
