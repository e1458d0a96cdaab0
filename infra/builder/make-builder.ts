import type { StackConfig } from "../config/schema.ts";
import type { Store } from "../store/store.ts";
import type { Toolchain } from "../toolchain.ts";
import type { Builder } from "./builder.ts";
import { LocalBuilder } from "./local-builder.ts";
import { SshBuilder } from "./ssh-builder.ts";

/** The builder that a stack's configuration asks for. */
export function makeBuilder({ builder }: StackConfig, toolchain: Toolchain, store: Store): Builder {
  return builder?.ssh === undefined ? new LocalBuilder(toolchain, store) : new SshBuilder(builder.ssh, store);
}
