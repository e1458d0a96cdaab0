import { formatDuration } from "../../common/units.ts";

/** Between two lines of one task's progress where every line stays on the screen (no terminal). */
const QUIET_MS = 5000;
/** A task that says nothing for this long is reported as still at it. */
const HEARTBEAT_MS = 8000;

/**
 * One task's progress: `show` is called with what should be shown now. Lines that come too fast are thinned out, keeping
 * the latest; a task with nothing to say is repeated with the time it has taken so far.
 */
export class Reporter {
  private readonly started = Date.now();
  private lastShown = 0;
  private latest = "";
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly show: (line: string) => void,
    private readonly quietMs = QUIET_MS,
    heartbeatMs = HEARTBEAT_MS,
  ) {
    this.timer = setInterval(() => {
      if (Date.now() - this.lastShown >= heartbeatMs) this.showLatest();
    }, heartbeatMs / 8);
  }

  progress = (line: string): void => {
    const first = this.latest === "";
    this.latest = line;
    if (first || Date.now() - this.lastShown >= this.quietMs) this.showLatest();
  };

  /** Time since the task started, for people. */
  elapsed(): string {
    return formatDuration((Date.now() - this.started) / 1000);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private showLatest(): void {
    this.lastShown = Date.now();
    this.show(`${shorten(this.latest || "working")} (${this.elapsed()})`);
  }
}

const WIDTH = 110;

function shorten(line: string): string {
  return line.length <= WIDTH ? line : `${line.slice(0, WIDTH - 1)}…`;
}
