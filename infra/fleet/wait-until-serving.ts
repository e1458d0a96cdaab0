import { setTimeout as sleep } from "node:timers/promises";
import { formatDuration } from "../../common/units.ts";
import type { Problem } from "../../common/user-error.ts";
import type { HostFigures } from "./report.ts";

/** What a host's /health says: ready, still loading (or what else keeps it), nothing on that port yet, or no way there. */
type Look = "ready" | `status ${number}` | "refused" | "unreachable";

/** How long hosts are waited for, milliseconds. */
const defaults = {
  /** A server that loads its model: 4 GB from an SD card take 100 seconds, on an emulated board some minutes. */
  loading: 10 * 60_000,
  /** A host that is up, and on whose port nobody listens yet. */
  refused: 2 * 60_000,
  interval: 1000,
};

/**
 * Waits until every host that has the release answers /health: an `up` that had nothing to do on a board that has just booted
 * ends when that serves again. Hosts that this machine cannot ask, as behind a bastion or a firewall, are only noted.
 * @param note takes a line for the user
 * @returns one problem for each host that does not serve
 */
export async function waitUntilServing(
  hosts: readonly Pick<HostFigures, "host" | "baseUrl" | "problem">[],
  note: (line: string) => void,
  limits = defaults,
): Promise<Problem[]> {
  // What became of the others has been reported.
  const waits = hosts
    .filter(({ problem }) => problem === undefined)
    .map((host) => waitFor(host, note, limits));
  return (await Promise.all(waits)).flat();
}

async function waitFor(
  { host, baseUrl }: Pick<HostFigures, "host" | "baseUrl">,
  note: (line: string) => void,
  { loading, refused, interval }: typeof defaults,
): Promise<Problem[]> {
  const url = baseUrl.replace(/\/v1$/, "/health");
  const started = Date.now();
  for (let last: Look | undefined; ;) {
    const look = await ask(url);
    if (look === "ready") return [];
    if (look === "unreachable") {
      note(`${host}: ${url} cannot be asked from this machine`);
      return [];
    }
    if (look !== last) note(`${host}: waiting until it serves (${url}: ${look})`);
    last = look;
    if (Date.now() - started > (look === "refused" ? refused : loading)) {
      const what = `does not serve: ${url} says ${look} after ${formatDuration((Date.now() - started) / 1000)}`;
      return [
        { where: host, what, remedy: "`journalctl -u pipress-llama` on the host; then `./pipress up`" },
      ];
    }
    await sleep(interval);
  }
}

async function ask(url: string): Promise<Look> {
  try {
    // A Pi under full load answers late.
    const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    return ok ? "ready" : `status ${status}`;
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as { code?: string };
    // An emulated board's port is taken by QEMU, which hangs up while nothing listens behind it.
    return ["ECONNREFUSED", "ECONNRESET", "UND_ERR_SOCKET"].includes(code ?? "") ? "refused" : "unreachable";
  }
}
