import type { CacheSettings } from "./memory.ts";
import type { Prediction } from "./predict.ts";

/** A board that is throttled, or whose memory is shared with something else, is half as fast. */
const MARGIN = 2;
/** No model is so fast that less would tell a host that works from one that does not. */
const LEAST_SECONDS = 15 * 60;
const STEP_SECONDS = 5 * 60;

/**
 * How long a host may be at work on one request, in seconds: its whole context read as a prompt or written as an answer,
 * whichever takes longer, by what is predicted for a Raspberry Pi 4, or for the fleet's own boards where they were measured.
 * An answer that is not streamed says nothing until then.
 * @param prediction of what the host serves
 */
export function longestAnswer(
  { release, prompt }: Pick<Prediction, "release" | "prompt">,
  server: CacheSettings,
): number {
  const slowest = Math.min(release.tokensPerSecond, prompt.tokensPerSecond);
  const seconds = (MARGIN * server.contextLength) / slowest;
  return Math.max(LEAST_SECONDS, Math.ceil(seconds / STEP_SECONDS) * STEP_SECONDS);
}
