/** One mistake a user can mend: what is wrong, where, and what to do next. */
export interface Problem {
  /** Config path, host or step, e.g. `hosts[1].address` or `pi-0 / preflight`. */
  where: string;
  /** What is wrong, as a sentence without a full stop. */
  what: string;
  /** What to do next. */
  remedy?: string;
}

/**
 * The user's own mistake, or a condition only the user can mend. Printed without a stack trace; every problem
 * found is carried at once so that nobody has to fix them one `preview` at a time.
 */
export class UserError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: Problem | readonly Problem[]) {
    const list = Array.isArray(problems) ? (problems as readonly Problem[]) : [problems as Problem];
    super(list.map(formatProblem).join("\n"));
    this.name = "UserError";
    this.problems = list;
    // Pulumi and Node print `stack` where there is one; a user's mistake has none worth reading.
    this.stack = `${this.name}: ${this.message}`;
  }
}

/** `where: what — remedy`, the one shape in which every user-facing error is printed. */
export function formatProblem({ where, what, remedy }: Problem): string {
  return remedy === undefined ? `${where}: ${what}` : `${where}: ${what} — ${remedy}`;
}
