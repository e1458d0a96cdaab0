import { join } from "node:path";

/** Where bootstrap keeps what, below the cache folder. */
export function layout(cache: string) {
  return {
    /** Held by the one process that does a task. */
    lock: (title: string) => join(cache, "locks", title.replaceAll(" ", "-")),
    logs: join(cache, "logs"),
    downloads: join(cache, "downloads"),
    /** What bootstrap put in place; `toolchain/toolchain.ts` reads it. */
    toolchain: join(cache, "toolchain.json"),
    uv: join(cache, "uv"),
    /** One environment per lock file. */
    venv: (digest: string) => join(cache, "venv", digest),
    engine: (version: string) => join(cache, "engine", version),
    go: (version: string) => join(cache, "go", version),
    /** Module and build cache of the engine's build; removed when it is done. */
    goWork: join(cache, "go", "work"),
    /** Which engine was chosen, and why. */
    engineChoice: join(cache, "engine", "choice.json"),
    pulumiHome: join(cache, "pulumi-home"),
    s3Server: (version: string) => join(cache, "s3-server", version),
  };
}
