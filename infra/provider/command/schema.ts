/**
 * What the `command` package 1.2.1 declares: resources, function, types, and for each property its type, whether it is
 * required, secret or forces a replacement, and its default. The check step, the diff and `GetSchema` all read this one
 * table. Names and types are those of provider/cmd/pulumi-resource-command/schema.json at v1.2.1.
 */
export type Type =
  | "string"
  | "boolean"
  | "number"
  | "integer"
  | "any"
  | "assetOrArchive"
  | "archive"
  | { list: Type }
  | { map: Type }
  | { object: "Connection" | "ProxyConnection" }
  | { enum: "local" | "remote" };

export interface Property {
  type: Type;
  description: string;
  required?: boolean;
  secret?: boolean;
  replaceOnChanges?: boolean;
  default?: string | number;
}

export type Properties = Record<string, Property>;

export const packageName = "command";
export const packageVersion = "1.2.1";

const endpoint: Properties = {
  user: { type: "string", default: "root", description: "The user to log in as." },
  password: { type: "string", secret: true, description: "The password to log in with." },
  host: { type: "string", required: true, description: "The address to connect to." },
  port: { type: "number", default: 22, description: "The TCP port to connect to." },
  privateKey: { type: "string", secret: true, description: "A private SSH key (its contents); tried first." },
  privateKeyPassword: { type: "string", secret: true, description: "The passphrase of an encrypted key." },
  agentSocketPath: { type: "string", description: "The SSH agent's socket. Defaults to SSH_AUTH_SOCK." },
  dialErrorLimit: { type: "integer", default: 10, description: "Failed dials to forgive; -1 forgives all." },
  perDialTimeout: { type: "integer", default: 15, description: "Seconds one dial may take; 0 is no limit." },
  hostKey: { type: "string", description: "The server's public key. Not verified when left out." },
};

/** Object types of the package, by the name after `command:remote:`. */
export const objectTypes = {
  Connection: {
    ...endpoint,
    proxy: { type: { object: "ProxyConnection" }, description: "A bastion host to connect through." },
  },
  ProxyConnection: endpoint,
} satisfies Record<"Connection" | "ProxyConnection", Properties>;

const connection: Property = {
  type: { object: "Connection" },
  required: true,
  secret: true,
  description: "How to reach the remote host.",
};

const triggers: Property = {
  type: { list: "any" },
  replaceOnChanges: true,
  description: "The resource is replaced when any of these values changes.",
};

const commands: Properties = {
  create: { type: "string", description: "Runs on creation, and on change where `update` is not given." },
  update: { type: "string", description: "Runs when the resource's inputs have changed." },
  delete: { type: "string", description: "Runs on deletion." },
  triggers,
};

function process(where: "local" | "remote"): Properties {
  return {
    stdin: { type: "string", description: "Text for the command's standard input." },
    environment: { type: { map: "string" }, description: "Variables added to the command's environment." },
    logging: { type: { enum: where }, description: "Which of the two streams the display shows." },
    addPreviousOutputInEnv: {
      type: "boolean",
      description:
        "Whether PULUMI_COMMAND_STDOUT and PULUMI_COMMAND_STDERR hold the last run's output (default true).",
    },
  };
}

const localProcess: Properties = {
  ...process("local"),
  interpreter: { type: { list: "string" }, description: 'Runs the command; ["/bin/sh", "-c"] by default.' },
  dir: { type: "string", description: "The directory the command runs in." },
  assetPaths: { type: { list: "string" }, description: "Globs of files to return as assets." },
  archivePaths: { type: { list: "string" }, description: "Globs of files to return as one archive." },
};

const streams: Properties = {
  stdout: { type: "string", required: true, description: "What the command wrote to standard output." },
  stderr: { type: "string", required: true, description: "What the command wrote to standard error." },
};

const files: Properties = {
  assets: { type: { map: "assetOrArchive" }, description: "The files that `assetPaths` matched." },
  archive: { type: "archive", description: "The files that `archivePaths` matched." },
};

const remotePath: Property = { type: "string", required: true, description: "Where to put it on the host." };

export interface Declaration {
  description: string;
  inputs: Properties;
  /** What the resource has beside its inputs, which all come back as outputs too. */
  outputs: Properties;
  /** False where every change means a replacement, because there is no update. */
  updatable: boolean;
  deprecation?: string;
}

export const resources = {
  "command:local:Command": {
    description: "A command that runs on this machine as part of the resource's life.",
    inputs: { ...commands, ...localProcess },
    outputs: { ...streams, ...files },
    updatable: true,
  },
  "command:remote:Command": {
    description: "A command that runs on a remote host over SSH as part of the resource's life.",
    inputs: { ...commands, ...process("remote"), connection },
    outputs: streams,
    updatable: true,
  },
  "command:remote:CopyToRemote": {
    description: "A file or folder copied to a remote host over SFTP.",
    inputs: {
      connection,
      triggers,
      source: { type: "assetOrArchive", required: true, description: "What to copy." },
      remotePath,
    },
    outputs: {},
    updatable: true,
  },
  "command:remote:CopyFile": {
    description: "A file copied to a remote host over SFTP.",
    deprecation: "This resource is deprecated. Please use the `CopyToRemote` resource instead.",
    inputs: {
      connection,
      triggers: { type: { list: "any" }, description: triggers.description },
      localPath: { type: "string", required: true, description: "The file to copy." },
      remotePath,
    },
    outputs: {},
    updatable: false,
  },
} satisfies Record<string, Declaration>;

export type ResourceToken = keyof typeof resources;

export const functions = {
  "command:local:run": {
    description: "Runs a command on this machine on every preview and every update.",
    inputs: {
      ...localProcess,
      command: { type: "string", required: true, description: "The command to run." },
    },
    outputs: { ...streams, ...files },
  },
} satisfies Record<string, { description: string; inputs: Properties; outputs: Properties }>;

export function declarationOf(token: string): Declaration | undefined {
  return token in resources ? resources[token as ResourceToken] : undefined;
}

/** The package schema as `GetSchema` returns it. */
export function packageSchema(): object {
  return {
    name: packageName,
    displayName: "Command",
    version: packageVersion,
    description: "Execute commands and scripts, locally or remotely, as part of the Pulumi resource model.",
    config: {},
    provider: {},
    language: { nodejs: { respectSchemaVersion: true } },
    types: {
      ...mapValues(prefixed("command:remote:", objectTypes), objectSpec),
      "command:local:Logging": loggingSpec,
      "command:remote:Logging": loggingSpec,
    },
    resources: mapValues(resources, resourceSpec),
    functions: mapValues(functions, ({ description, inputs, outputs }) => ({
      description,
      inputs: objectSpec(inputs),
      outputs: objectSpec({ ...inputs, ...outputs }),
    })),
  };
}

const loggingSpec = {
  type: "string",
  enum: ["stdout", "stderr", "stdoutAndStderr", "none"].map((value) => ({ name: value, value })),
};

function resourceSpec({ description, inputs, outputs, deprecation }: Declaration): object {
  const state = objectSpec({ ...inputs, ...outputs });
  const args = objectSpec(inputs);
  return {
    description,
    properties: state.properties,
    required: state.required,
    inputProperties: args.properties,
    requiredInputs: args.required,
    ...(deprecation && { deprecationMessage: deprecation }),
  };
}

function objectSpec(properties: Properties) {
  const required = Object.keys(properties).filter((name) => properties[name]?.required);
  return { type: "object", properties: mapValues(properties, propertySpec), required };
}

function propertySpec({ type, required, ...rest }: Property): object {
  void required; // Pulumi lists the required ones beside the properties.
  return { ...typeSpec(type), ...rest };
}

function typeSpec(type: Type): object {
  if (type === "any") return { $ref: "pulumi.json#/Any" };
  if (type === "archive") return { $ref: "pulumi.json#/Archive" };
  // Pulumi's schema calls the union of the two "Asset".
  if (type === "assetOrArchive") return { $ref: "pulumi.json#/Asset" };
  if (typeof type === "string") return { type };
  if ("list" in type) return { type: "array", items: typeSpec(type.list) };
  if ("map" in type) return { type: "object", additionalProperties: typeSpec(type.map) };
  if ("object" in type) return { $ref: `#/types/command:remote:${type.object}` };
  return { $ref: `#/types/command:${type.enum}:Logging` };
}

function mapValues<V, R>(record: Record<string, V>, f: (value: V) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value)]));
}

function prefixed<V>(prefix: string, record: Record<string, V>): Record<string, V> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [prefix + key, value]));
}
