import { UserError, type Problem } from "../../common/user-error.ts";
import { list, readOptions } from "../options.ts";
import { partNames, usualParts, type PartName } from "./parts.ts";

/** What a run of the bench does. */
export interface Options {
  only: readonly PartName[];
  /** Of the part `release`, which then runs alone; undefined for all that the model has. */
  layers: number | undefined;
  /** Where to write what the one part would run, instead of running it: for a machine without Node. */
  task: string | undefined;
  /** Where what such a machine printed is, instead of running anything. */
  measured: string | undefined;
}

/** The command line, checked as a whole. @throws UserError with every problem */
export function parseOptions(args: readonly string[]): Options {
  const { only, layers, task, measured } = readOptions(
    "bench:8b",
    ["only", "layers", "task", "measured"],
    args,
  );
  const problems: Problem[] = [];
  const named = list(only) ?? (layers === undefined ? usualParts : ["release"]);
  for (const name of named)
    if (!(partNames as readonly string[]).includes(name))
      problems.push({
        where: "bench:8b --only",
        what: `there is no part "${name}"`,
        remedy: `one or several of: ${partNames.join(",")}`,
      });
  if (layers !== undefined && !(Number.isInteger(Number(layers)) && Number(layers) >= 2))
    problems.push({ where: "bench:8b --layers", what: `is ${layers}`, remedy: "a number of at least 2" });
  if (layers !== undefined && named.join() !== "release")
    problems.push({
      where: "bench:8b --layers",
      what: "is of the part release alone",
      remedy: "write it without --only",
    });
  if (
    (task ?? measured) !== undefined &&
    (named.length !== 1 || (task !== undefined && measured !== undefined))
  )
    problems.push({
      where: `bench:8b --${task === undefined ? "measured" : "task"}`,
      what: "is of one part",
      remedy: "name it with --only, and either --task or --measured",
    });
  if (problems.length > 0) throw new UserError(problems);
  return {
    only: partNames.filter((name) => named.includes(name)),
    layers: layers === undefined ? undefined : Number(layers),
    task,
    measured,
  };
}
