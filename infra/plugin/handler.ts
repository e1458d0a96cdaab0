/** A bag of resource properties as it travels between engine and provider: JSON, plus the markers in values.ts. */
export type Props = Record<string, unknown>;

/** What a handler may say while it works; every line appears beside its own resource in the Pulumi display. */
export interface ResourceLog {
  /** Progress. Shown in the status column, gone when the resource is done. */
  status(message: string): void;
  /** Kept and printed again under "Diagnostics" at the end. */
  warn(message: string): void;
}

/** What every handler call knows about its resource and its circumstances. */
export interface Call {
  readonly urn: string;
  /** Last part of the URN: the name the program gave. */
  readonly name: string;
  /** Aborted when the user cancels (Ctrl-C), a `customTimeouts` is over or the engine is gone. Stop gracefully, then throw. */
  readonly signal: AbortSignal;
  readonly log: ResourceLog;
}

/** One invalid input. `property` is a path such as `host.port` or `files[2].sha256`. */
export interface CheckFailure {
  property: string;
  reason: string;
}

export interface CheckResult {
  /** Inputs with defaults filled in; the given ones when left out. */
  inputs?: Props;
  failures?: CheckFailure[];
}

/** How one property differs, for the preview to name it. */
export interface PropertyChange {
  kind: "add" | "update" | "delete";
  /** The change cannot be made in place. */
  replace?: boolean;
  /** Compare old inputs (true, default) or old outputs (false) with the new inputs when the change is shown. */
  input?: boolean;
}

export interface DiffResult {
  /** By property path; an empty record means that nothing changes. */
  changes: Record<string, PropertyChange>;
  deleteBeforeReplace?: boolean;
}

export interface Existing {
  id: string;
  /** Inputs of the last successful create or update. */
  inputs: Props;
  /** Outputs of the last successful create, update or read. */
  state: Props;
}

/**
 * One custom resource type. All methods may throw; a UserError's message reaches the user as it is.
 * Values marked secret by the program arrive unwrapped; the engine marks the outputs of the same names again.
 */
export interface ResourceHandler {
  /** Validates and completes inputs. Must cope with unknowns at preview (see `hasUnknowns`). */
  check?(inputs: Props): CheckResult;
  /** What differs, in the inputs or in the real thing where a look is cheap. Default: every differing input, in place. */
  diff?(existing: Existing, inputs: Props): DiffResult | Promise<DiffResult>;
  create(inputs: Props, call: Call): Promise<{ id: string; state: Props }>;
  /** Outputs known at preview already. Default: the inputs; everything else is unknown. */
  previewCreate?(inputs: Props): Props;
  previewUpdate?(existing: Existing, inputs: Props): Props;
  /** Looks at the real thing. `undefined` says that it is gone, and the next `up` makes it anew. */
  read?(existing: Existing, call: Call): Promise<{ inputs?: Props; state: Props } | undefined>;
  /** Returns the new outputs. */
  update?(existing: Existing, inputs: Props, call: Call): Promise<Props>;
  delete?(existing: Existing, call: Call): Promise<void>;
}

/** What `serve` needs to answer the engine. */
export interface ProviderDefinition {
  name: string;
  version: string;
  /** Pulumi package schema as JSON text, where there is one. */
  schema?: string;
  /** By type token, e.g. `pipress:index:Secret`; asked for with every call. */
  resources: Record<string, () => ResourceHandler | Promise<ResourceHandler>>;
  /** What programs `invoke`, by token. */
  functions?: Record<string, (args: Props, call: Call) => Promise<Props>>;
  /** Where other types and functions of the package can be had: the remedy in the error about one. */
  elsewhere?: string;
}

/**
 * The thing exists, but did not come up as wanted. The engine records it with `state`, so that the next `up` tries
 * again and `destroy` knows about it.
 */
export class InitializationFailed extends Error {
  constructor(
    readonly id: string,
    readonly state: Props,
    reason: string,
  ) {
    super(reason);
    this.name = "InitializationFailed";
  }
}
