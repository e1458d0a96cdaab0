import Table from "cli-table3";
import { boxNames, boxOf, type BoxName } from "../builder/aws/box-of.ts";
import type { Boot } from "../builder/aws/desk.ts";
import type { AwsBuilderConfig } from "../config/aws-schema.ts";
import { formatDuration } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import type { PlannedStage } from "../plan/plan.ts";
import type { StageCost } from "./stage-costs.ts";
import { plain } from "../fleet/table.ts";
import { diskPerHour, priceFile, priceOf, type HourlyPrice } from "../config/prices.ts";

/** Booting, packages, llama.cpp's tools; and the while a box waits for another job. Assumed. */
const startSeconds = 600;
/** Bytes per second between a box and a bucket in its region; eight connections bring more. */
const bucketBytesPerSecond = 2e8;

/** One line of a plan's cost: a stage, or the start and end of a box. */
export interface CostLine extends HourlyPrice {
  what: string;
  box: BoxName;
  type: string;
  seconds: number;
}

/** What a plan's missing stages cost; undefined lines where nothing can be predicted yet. */
export interface PlanCost {
  lines: CostLine[];
  /** Missing stages on boxes whose time nobody knows. */
  unknown: string[];
}

type CostedStage = Pick<PlannedStage, "name" | "stage" | "params" | "artifact">;

/**
 * Hours and prices of every stage that has to run on a box.
 * @param costs predicted, by stage
 */
export function planCost(
  plan: readonly CostedStage[],
  costs: ReadonlyMap<string, StageCost> = new Map(),
  aws: AwsBuilderConfig,
): PlanCost {
  const cost: PlanCost = { lines: [], unknown: [] };
  for (const box of boxNames) {
    const stages = plan.filter((stage) => stage.artifact === undefined && boxOf(stage) === box);
    if (stages.length === 0) continue;
    const line = lineOf(box, aws);
    cost.lines.push(line(`start and end of the ${box} box`, startSeconds + aws.linger));
    for (const { name } of stages) {
      const predicted = costs.get(name);
      if (predicted === undefined) cost.unknown.push(name);
      else cost.lines.push(line(name, predicted.seconds + (2 * predicted.bytes) / bucketBytesPerSecond));
    }
  }
  return cost;
}

/** Prices of the type that stands first, with the disk. */
function lineOf(box: BoxName, { region, prices, ...boxes }: AwsBuilderConfig) {
  const { types, disk } = boxes[box];
  const [type = ""] = types;
  const price = priceOf(type, region, prices) ?? { onDemand: NaN, spot: NaN };
  const room = diskPerHour(disk);
  return (what: string, seconds: number): CostLine => ({
    what,
    box,
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

/** A plan's cost as `preview` shows it, priced line by line; empty when no stage needs a box. */
export function describeCost(cost: PlanCost, { region, maxCostUsd, onDemand }: AwsBuilderConfig): string {
  if (cost.lines.length === 0) return "";
  const table = new Table({
    ...plain,
    head: ["on AWS", "box", "type", "hours", "spot", "on demand"],
    colAligns: ["left", "left", "left", "right", "right", "right"],
  });
  const row = (what: string, box: string, type: string, part: Omit<CostLine, "what" | "box" | "type">) =>
    table.push([
      what,
      box,
      type,
      (part.seconds / 3600).toFixed(2),
      dollars(part.spot),
      dollars(part.onDemand),
    ]);
  for (const { what, box, type, ...part } of cost.lines) row(what, box, type, part);
  row("sum", "", "", sumOf(cost));
  const unknown =
    cost.unknown.length === 0
      ? []
      : [
          `not in the sum, because nothing says yet how large the model is (base.config in the recipe does): ${cost.unknown.join(", ")}`,
        ];
  return [
    table.toString(),
    ...unknown,
    `predicted hours; prices of ${priceFile().asOf} in ${region}. Spot first${onDemand ? ", on demand where there is none" : ""}; no box costs more than $${maxCostUsd} (builder.aws.maxCostUsd)`,
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
    what: `the plan is predicted to cost ${dollars(predicted)} (${onDemand ? "on demand" : "spot"}, ${formatDuration(sum.seconds)} of boxes), the limit is ${dollars(maxCostUsd)}`,
    remedy:
      "raise the limit, make the recipe smaller, or name cheaper types; the table above says what costs how much",
  });
}

/** Boxes that are running right now, and what this stack's boxes have cost so far; empty when none ever ran. */
export function describeBoots(boots: readonly Boot[], now = Date.now() / 1000): string {
  const running = boots
    .filter(({ state }) => state === "running")
    .map((boot) => {
      const hours = now - boot.began;
      const cost = dollars((hours / 3600) * boot.usdPerHour);
      return `running now: ${boot.box} box ${boot.instance} (${boot.type}, ${boot.lifecycle}) for ${formatDuration(hours)}, ${cost} so far`;
    });
  if (boots.length === 0) return "";
  const total = boots.reduce((sum, { costUsd }) => sum + costUsd, 0);
  return [...running, `boxes of this stack have cost ${dollars(total)} so far`].join("\n");
}

function dollars(usd: number): string {
  return `$${usd.toFixed(2)}`;
}
