import { ListrTaskEventType, ListrTaskState, type ListrRenderer, type ListrTaskObject } from "listr2";
import { formatDuration } from "../../common/units.ts";

type Task = ListrTaskObject<unknown, typeof PlainRenderer, typeof PlainRenderer>;

/** For logs and pipes: one line per event, `[1 min 20 s] engine: building pulumi, package 512 of 1649`, on stderr. */
export class PlainRenderer implements ListrRenderer {
  static nonTTY = true;
  static rendererOptions: never;
  static rendererTaskOptions: never;
  private readonly started = Date.now();

  constructor(private readonly tasks: Task[]) {}

  render(): void {
    this.follow(this.tasks);
  }

  end(): void {
    // nothing is drawn, so nothing is left to clear
  }

  private follow(tasks: Task[]): void {
    for (const task of tasks) {
      task.on(ListrTaskEventType.SUBTASK, (children) => {
        this.follow(children as Task[]);
      });
      if (!task.hasTitle()) continue;
      task.on(ListrTaskEventType.OUTPUT, (line) => {
        this.print(`${task.initialTitle ?? ""}: ${line}`);
      });
      task.on(ListrTaskEventType.STATE, (state) => {
        if (state === ListrTaskState.COMPLETED) this.print(`✔ ${task.title ?? ""}`);
        if (state === ListrTaskState.FAILED) this.print(`✖ ${task.initialTitle ?? ""}`);
      });
    }
  }

  private print(line: string): void {
    console.error(`[${formatDuration((Date.now() - this.started) / 1000)}] ${line}`);
  }
}
