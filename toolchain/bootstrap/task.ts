/**
 * `run`: all that the product needs. `lint`: linters and pytest alone, for checks that run nothing real. `test`: both, an S3
 * server, a browser, and llama-server's web page. `emulate`: `run`, and the emulator for single programs of the Pi.
 * `compare`: `run`, and the packages that compression is measured by.
 */
export type Purpose = "run" | "lint" | "test" | "emulate" | "compare";

/** What a task gets while it runs. `toolchain/llama-cpp` and `toolchain/virtual-pi-image` get the same. */
export interface TaskContext {
  /** The cache folder, see `layout.ts`. */
  cacheDir: string;
  /** Says what is going on, in one line, as often as it likes. */
  progress: (line: string) => void;
  /** Aborted on Ctrl-C and when another task fails: stop, and leave what is done so far to be taken up again. */
  signal: AbortSignal;
}

/** One thing that bootstrap puts in place. */
export interface Task {
  title: string;
  /** Titles of the tasks that must be done before this one starts. */
  after?: readonly string[];
  /** Keeps every core busy for minutes: only so many of these run at a time. */
  heavy?: boolean;
  /** A look at a few files, no process: bootstrap asks every time anything is run. */
  isReady: () => boolean;
  /** Puts it in place, going on from where an earlier run was cut short; resolves with what was chosen, in a few words. */
  run: (ctx: TaskContext) => Promise<string>;
}
