import { spawn } from "node:child_process";
import { UserError } from "../common/user-error.ts";
import { findOnPath } from "../toolchain/bootstrap/find-on-path.ts";
import { readEndpoint } from "./chat.ts";
import { openStack, type StackOptions } from "./stack.ts";

const TIMEOUT_MS = 10_000;

/**
 * `./pipress open [HOST]`: prints the address of the web page, and shows it in a browser where there is one. The page asks for
 * the key itself: in an address it would stay in the browser's history, and everybody here sees the arguments of a browser.
 */
export async function open(host: string | undefined, options: StackOptions): Promise<number> {
  const { baseUrl } = await readEndpoint(await openStack(options), host);
  const page = await findPage(baseUrl);
  console.log(page);
  console.error("the page asks for the key, once; `./pipress key` prints it");
  const browser = browserOf(process.env);
  if (browser !== undefined) spawn(browser, [page], { detached: true, stdio: "ignore" }).unref();
  return 0;
}

/**
 * Address of the web page of a server.
 * @param baseUrl with `/v1`
 * @throws UserError where it cannot be reached, or has none
 */
export async function findPage(baseUrl: string): Promise<string> {
  const page = new URL("/", baseUrl).href;
  let response: Response;
  try {
    response = await fetch(page, { method: "HEAD", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    throw new UserError({
      where: page,
      what: `cannot be reached: ${reasonOf(error)}`,
      remedy: "`./pipress status` shows what the hosts said last, `./pipress refresh` asks them",
    });
  }
  if (response.ok) return page;
  throw new UserError({
    where: page,
    what: `has no web page (status ${String(response.status)})`,
    remedy: "set `server.ui: true` and run `./pipress up`",
  });
}

/** The program that opens an address in the user's browser; undefined where there is no screen, or no such program. */
export function browserOf({ DISPLAY, WAYLAND_DISPLAY, PATH }: NodeJS.ProcessEnv): string | undefined {
  return (DISPLAY ?? WAYLAND_DISPLAY) === undefined ? undefined : findOnPath("xdg-open", PATH);
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
  return cause?.code ?? cause?.message ?? message;
}
