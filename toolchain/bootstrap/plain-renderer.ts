import { ListrTaskEventType, ListrTaskState, type ListrRenderer, type ListrTaskObject } from "listr2";
import { formatDuration } from "../../common/units.ts";

/** For logs and pipes: one line per event, `[1 min 20 s] engine: building pulumi, package 512 of 1649`, on stderr. */
export class PlainRenderer implements ListrRenderer {
  static nonTTY = true;
  static rendererOptions: never;
  static rendererTaskOptions: never;
  private readonly started = Date.now();

  constructor(
    private readonly tasks: ListrTaskObject<unknown, typeof PlainRenderer, typeof PlainRenderer>[],
  ) {}

  render(): void {
    for (const task of this.tasks) {
      const title = task.initialTitle ?? "";
      task.on(ListrTaskEventType.OUTPUT, (line) => {
        this.print(`${title}: ${line}`);
      });
      task.on(ListrTaskEventType.STATE, (state) => {
        if (state === ListrTaskState.COMPLETED) this.print(`✔ ${task.title ?? ""}`);
        if (state === ListrTaskState.FAILED) this.print(`✖ ${title}`);
      });
    }
  }

  end(): void {
    // nothing is drawn, so nothing is left to clear
  }

  private print(line: string): void {
    console.error(`[${formatDuration((Date.now() - this.started) / 1000)}] ${line}`);
  }
}
