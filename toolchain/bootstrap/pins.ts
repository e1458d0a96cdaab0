/** Every version that bootstrap decides itself. Python packages are pinned in `models/pyproject.toml`, Node's in package.json. */

/** The engine bootstrap brings when the machine has none that suits. */
export const ENGINE_VERSION = "3.250.0";

/** A `pulumi` on PATH is used from this version on (and below the next major). */
export const ENGINE_MINIMUM = "3.200.0";

/** What `go build` of the engine needs, see `toolchain/engine/cli/go.mod`; `toolchain/engine/go.lock` pins one for machines without. */
export const GO_MINIMUM = "1.25.11";

/** Version of the package index's Go distribution in `toolchain/engine/go.lock`. */
export const GO_VERSION = "1.26.6";

/** Same as the npm package's version, because the engine looks the plugin up by it. */
export const COMMAND_PLUGIN_VERSION = "1.2.1";

/** Pinned with hashes in `toolchain/bootstrap/uv.lock`. */
export const UV_VERSION = "0.13.9";

/** A `uv` on PATH is used from this version on: it understands the options that `python.ts` passes. */
export const UV_MINIMUM = "0.8.0";

/** ansible-core 2.19 needs it. */
export const PYTHON_MINIMUM = "3.11";
