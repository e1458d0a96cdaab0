import type { HostConfig } from "../config/hosts.ts";
import type { StackConfig } from "../config/schema.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { Reporter } from "../../toolchain/bootstrap/reporter.ts";
import { builtWebPage, ensureWebPage, type WebPage } from "../../toolchain/web-page/index.ts";

/**
 * Checks which hosts have the web page: the load balancer asks any of them for it.
 * @throws UserError with the hosts behind an endpoint that have none where others have one
 */
export function checkWebPage(
  { endpoint }: Pick<StackConfig, "endpoint">,
  fleet: readonly HostConfig[],
): void {
  const without = fleet.filter(({ server }) => !server.ui);
  if (endpoint === undefined || without.length === 0 || without.length === fleet.length) return;
  throw new UserError(
    without.map(({ where, name }) => ({
      where: `${where}.server.ui`,
      what: `${name} has no web page, and others behind the endpoint have one`,
      remedy: "set `pipress:server.ui` for all of them",
    })),
  );
}

/**
 * The web page, built where it has not been yet.
 * @param note takes what goes on
 * @param say takes how large it is and what it took
 */
export async function makeWebPage(
  cacheDir: string,
  note: (line: string) => void,
  say: (line: string) => Promise<void>,
): Promise<WebPage> {
  const wasBuilt = builtWebPage(cacheDir) !== undefined;
  const reporter = new Reporter((line) => {
    note(`web page: ${line}`);
  });
  const { signal } = new AbortController();
  const page = await ensureWebPage({ cacheDir, progress: reporter.progress, signal }).finally(() => {
    reporter.stop();
  });
  await say(describeWebPage(page, wasBuilt));
  return page;
}

/** `web page: 9.5 MB, built in 2 min`. Exported for tests. */
export function describeWebPage(
  { bytes, seconds }: Pick<WebPage, "bytes" | "seconds">,
  wasBuilt: boolean,
): string {
  return `web page: ${formatBytes(bytes)}, built in ${formatDuration(seconds)}${wasBuilt ? " earlier" : ""}`;
}
