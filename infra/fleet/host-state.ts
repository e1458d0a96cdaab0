import { UserError } from "../../common/user-error.ts";
import type { Machine } from "../ssh/machine.ts";
import { Session } from "../ssh/session.ts";
import { said } from "./said.ts";

/** What a host says of itself and of its service, right now. */
export interface HostState {
  /** `active`, `activating`, `failed`, … as systemd calls it; undefined where there is no such unit. */
  service?: string;
  /** When the service was started, and when what it serves was switched to, as seconds since 1970. */
  startedAt?: number;
  rolledOutAt?: number;
  /** Of the release that it serves. */
  release?: string;
  celsius?: number;
  /** The firmware's flags (get_throttled); undefined where there is no such firmware. */
  throttled?: number;
  /** Tokens per second since the figures were last read; undefined where nothing was generated. */
  tokensPerSecond?: number;
  /** The same of tokens that were read. */
  readTokensPerSecond?: number;
  /** Requests at work and waiting. */
  requests?: number;
}

/** What llama-server counts. */
type ServerFigures = Pick<HostState, "tokensPerSecond" | "readTokensPerSecond" | "requests">;

/** Why a host does not say. */
export interface NoState {
  problem: string;
}

/** A host that does not answer is given up after so long. */
const PATIENCE_MS = 20_000;
const METRICS_MS = 5000;

// Nothing of it needs root.
const script = `
LC_ALL=C; export LC_ALL
current=/var/lib/pipress/current
unit=pipress-llama.service
echo "release $(basename "$(readlink "$current")" 2>/dev/null)"
echo "rolledOut $(stat --format %Y "$current" 2>/dev/null)"
echo "service $(systemctl show --property ActiveState --value "$unit" 2>/dev/null)"
started=$(systemctl show --property ActiveEnterTimestamp --value "$unit" 2>/dev/null)
[ -n "$started" ] && echo "started $(date --date "$started" +%s 2>/dev/null)"
echo "celsius $(cat /sys/class/thermal/thermal_zone0/temp 2>/dev/null)"
echo "throttled $(cat /sys/devices/platform/soc/soc:firmware/get_throttled 2>/dev/null ||
  vcgencmd get_throttled 2>/dev/null | sed 's/throttled=0x//')"
`;

/** Asks a host, and its llama-server. @param server base URL with `/v1`, and the key; undefined where nothing is known of it */
export async function lookAtHost(
  machine: Machine,
  server: { baseUrl: string; apiKey: string } | undefined,
): Promise<HostState | NoState> {
  try {
    const [ending, figures] = await Promise.all([
      Session.use(machine, (session) =>
        session.run(script, "", { quiet: true, signal: AbortSignal.timeout(PATIENCE_MS) }),
      ),
      server && readMetrics(server),
    ]);
    if (ending.kind === "lost") throw ending.failure;
    return { ...parseState(ending.stdout), ...figures };
  } catch (error) {
    if (error instanceof UserError) return { problem: error.problems.map(({ what }) => what).join("; ") };
    return { problem: `did not answer within ${PATIENCE_MS / 1000} s` };
  }
}

/** @param output what the script prints there */
export function parseState(output: string): HostState {
  const values = said(output);
  const text = (name: string) => values.get(name) || undefined;
  const number = (name: string) => (text(name) === undefined ? undefined : Number(text(name)));
  const milliCelsius = number("celsius");
  const throttled = text("throttled");
  return {
    service: text("service"),
    startedAt: number("started"),
    rolledOutAt: number("rolledOut"),
    release: text("release"),
    celsius: milliCelsius === undefined ? undefined : milliCelsius / 1000,
    throttled: throttled === undefined ? undefined : Number.parseInt(throttled, 16),
  };
}

/** What llama-server counts; nothing where it does not answer. */
async function readMetrics({ baseUrl, apiKey }: { baseUrl: string; apiKey: string }): Promise<ServerFigures> {
  try {
    const response = await fetch(baseUrl.replace(/\/v1$/, "/metrics"), {
      headers: { authorization: `Bearer ${apiKey}` },
      signal: AbortSignal.timeout(METRICS_MS),
    });
    return response.ok ? parseMetrics(await response.text()) : {};
  } catch {
    return {};
  }
}

/** @param text of llama-server's `/metrics` */
export function parseMetrics(text: string): ServerFigures {
  const value = (name: string): number =>
    Number(new RegExp(`^llamacpp:${name} (\\S+)`, "m").exec(text)?.[1] ?? Number.NaN);
  const [speed, read, atWork, waiting] = [
    value("predicted_tokens_seconds"),
    value("prompt_tokens_seconds"),
    value("requests_processing"),
    value("requests_deferred"),
  ];
  return {
    ...(speed > 0 && { tokensPerSecond: speed }),
    ...(read > 0 && { readTokensPerSecond: read }),
    ...(!Number.isNaN(atWork) && { requests: atWork + (waiting || 0) }),
  };
}
