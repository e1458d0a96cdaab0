import type { AwsBuilderConfig } from "../config/aws-schema.ts";
import { formatDuration, formatUsd } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { instanceFor, instanceNames, type InstanceName } from "../stage/instance-for.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { StageCost } from "./stage-costs.ts";
import { formatTable } from "../../common/plain-table.ts";
import { diskPerHour, priceFile, priceOf, type HourlyPrice } from "../config/prices.ts";

/** Booting, packages, llama.cpp's tools; and the while an instance waits for another job. Assumed. */
const startSeconds = 600;
/** Bytes per second between an instance and a bucket in its region; eight connections bring more. */
const bucketBytesPerSecond = 2e8;

/** One line of a plan's cost: a stage, or the start and end of an instance. */
export interface CostLine extends HourlyPrice {
  what: string;
  instance: InstanceName;
  type: string;
  seconds: number;
}

/** What a plan's missing stages cost; undefined lines where nothing can be predicted yet. */
export interface PlanCost {
  lines: CostLine[];
  /** Missing stages on instances whose time nobody knows. */
  unknown: string[];
}

type CostedStage = Pick<PlannedStage, "name" | "stage" | "params" | "artifact">;

/**
 * Hours and prices of every stage that has to run on an instance.
 * @param costs predicted, by stage
 */
export function planCost(
  plan: readonly CostedStage[],
  costs: ReadonlyMap<string, StageCost> = new Map(),
  aws: AwsBuilderConfig,
): PlanCost {
  const cost: PlanCost = { lines: [], unknown: [] };
  for (const instance of instanceNames) {
    const stages = plan.filter((stage) => stage.artifact === undefined && instanceFor(stage) === instance);
    if (stages.length === 0) continue;
    const line = lineOf(instance, aws);
    cost.lines.push(line(`start and end of the ${instance} instance`, startSeconds + aws.idleTimeout));
    for (const { name } of stages) {
      const predicted = costs.get(name);
      if (predicted === undefined) cost.unknown.push(name);
      else cost.lines.push(line(name, predicted.seconds + (2 * predicted.bytes) / bucketBytesPerSecond));
    }
  }
  return cost;
}

/** Prices of the type that stands first, with the disk. */
function lineOf(instance: InstanceName, { region, prices, ...instances }: AwsBuilderConfig) {
  const { types, disk } = instances[instance];
  const [type = ""] = types;
  const price = priceOf(type, region, prices) ?? { onDemand: NaN, spot: NaN };
  const room = diskPerHour(disk);
  return (what: string, seconds: number): CostLine => ({
    what,
    instance,
    type,
    seconds,
    onDemand: ((price.onDemand + room) * seconds) / 3600,
    spot: ((price.spot + room) * seconds) / 3600,
  });
}

/** The sum of a plan, US dollars. */
export function sumOf({ lines }: PlanCost): HourlyPrice & { seconds: number } {
  const sum = (part: (line: CostLine) => number) => lines.reduce((total, line) => total + part(line), 0);
  return {
    seconds: sum(({ seconds }) => seconds),
    spot: sum(({ spot }) => spot),
    onDemand: sum(({ onDemand }) => onDemand),
  };
}

/** A plan's cost as `preview` shows it, priced line by line; empty when no stage needs an instance. */
export function describeCost(cost: PlanCost, { region, maxCostUsd, onDemand }: AwsBuilderConfig): string {
  if (cost.lines.length === 0) return "";
  const sum = { what: "sum", instance: "", type: "", ...sumOf(cost) };
  const rows = [...cost.lines, sum].map(({ what, instance, type, seconds, spot, onDemand }) => [
    what,
    instance,
    type,
    (seconds / 3600).toFixed(2),
    formatUsd(spot),
    formatUsd(onDemand),
  ]);
  const figures = ["hours", "spot", "on demand"];
  const unknown =
    cost.unknown.length === 0
      ? []
      : [
          `not in the sum, because nothing says yet how large the model is (base.config in the recipe does): ${cost.unknown.join(", ")}`,
        ];
  return [
    formatTable(["on AWS", "instance", "type", ...figures], rows, figures),
    ...unknown,
    `predicted hours; prices of ${priceFile.asOf} in ${region}. Spot first${onDemand ? ", on demand where there is none" : ""}; no instance costs more than $${maxCostUsd} (builder.aws.maxCostUsd)`,
  ].join("\n");
}

/**
 * Refuses a plan that is predicted to cost more than it may: on demand, where that may happen.
 * @throws UserError
 */
export function checkCost(cost: PlanCost, { maxCostUsd, onDemand }: AwsBuilderConfig): void {
  const sum = sumOf(cost);
  const predicted = onDemand ? sum.onDemand : sum.spot;
  if (predicted <= maxCostUsd) return;
  throw new UserError({
    where: "pipress:builder.aws.maxCostUsd",
    what: `the plan is predicted to cost ${formatUsd(predicted)} (${onDemand ? "on demand" : "spot"}, ${formatDuration(sum.seconds)} of instances), the limit is ${formatUsd(maxCostUsd)}`,
    remedy:
      "raise the limit, make the recipe smaller, or name cheaper types; the table above says what costs how much",
  });
}
