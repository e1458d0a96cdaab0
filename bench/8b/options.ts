import { z } from "zod";
import { UserError } from "../../common/user-error.ts";
import { list, readOptions, whole } from "../options.ts";
import { partNames, usualParts, type PartName } from "./parts.ts";

const shape = {
  only: list(z.enum(partNames)).optional(),
  /** Of the part `release`, which then runs alone. */
  layers: whole.min(2).optional(),
  /** Where to write what the one part would run, instead of running it: for a machine without Node. */
  task: z.string().optional(),
  /** Where what such a machine printed is, instead of running anything. */
  measured: z.string().optional(),
};

/** The command line, checked as a whole. @throws UserError */
export function parseOptions(args: string[]) {
  const options = readOptions("bench:8b", shape, args);
  const { layers, task, measured } = options;
  const only: readonly PartName[] = options.only ?? (layers === undefined ? usualParts : ["release"]);
  if (layers !== undefined && only.join() !== "release")
    throw new UserError({
      where: "bench:8b --layers",
      what: "is of the part release alone",
      remedy: "write it without --only",
    });
  const files = [task, measured].filter((file) => file !== undefined);
  if (files.length > 1 || (files.length === 1 && only.length !== 1))
    throw new UserError({
      where: `bench:8b --${task === undefined ? "measured" : "task"}`,
      what: "is of one part",
      remedy: "name it with --only, and either --task or --measured",
    });
  return { ...options, only };
}
