import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { makeProject } from "../../infra/provider/testing/engine.ts";
import { measure, type Measured } from "../measured.ts";
import type { Fleet } from "./program.ts";

/** A rollout, and an `up` that finds nothing to do. */
export interface Ups {
  rollout: Measured;
  noop: Measured;
}

/** Rolls the release out with the real engine, and finds nothing to do after that. */
export async function rollOutWithPipress(fleet: Fleet): Promise<Ups> {
  const project = await makeProject(`
    import { declareRollout } from "${join(repoRoot, "bench", "fleet", "program.ts")}";
    declareRollout(${JSON.stringify(fleet)});
  `);
  try {
    const rollout = await measure(project.start("up", "--yes", "--skip-preview"));
    const noop = await measure(project.start("up", "--yes", "--skip-preview", "--expect-no-changes"));
    return { rollout, noop };
  } finally {
    await project.remove();
  }
}
