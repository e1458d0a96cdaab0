import type { JobResult } from "../stage/job.ts";
import type { StageNode } from "../stage/node.ts";
import { predictedSpeeds, type BoardSpeeds } from "./board-speeds.ts";
import type { CacheSettings } from "./memory.ts";
import { predictFrom } from "./predict.ts";
import { shapeOfFetched } from "./shape.ts";

/** A board that is throttled, or whose memory is shared with something else, is half as fast. */
const MARGIN = 2;
/** No model is so fast that less would tell a host that works from one that does not. */
const LEAST_SECONDS = 15 * 60;
const STEP_SECONDS = 5 * 60;

/**
 * How long a host may be at work on one request, in seconds: its whole context read as a prompt or written as an answer,
 * whichever takes longer, by what is predicted for a Raspberry Pi 4, or for the fleet's own boards where they were measured.
 * An answer that is not streamed says nothing until then.
 * @param fetched what `fetch` measured of the base model
 */
export function longestAnswer(
  fetched: Pick<JobResult, "metrics">,
  stages: readonly StageNode[],
  server: CacheSettings,
  boards: BoardSpeeds = predictedSpeeds,
): number {
  const base = shapeOfFetched(fetched);
  if (base === undefined) throw new Error("the artifact of `fetch` does not say the model's shape");
  const { release, prompt } = predictFrom(base, stages, server, undefined, boards);
  const slowest = Math.min(release.tokensPerSecond, prompt.tokensPerSecond);
  const seconds = (MARGIN * server.contextLength) / slowest;
  return Math.max(LEAST_SECONDS, Math.ceil(seconds / STEP_SECONDS) * STEP_SECONDS);
}
