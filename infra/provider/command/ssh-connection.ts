/** SSH connections as the `connection` input describes them (remote/connection.go). */
import { connect } from "node:net";

import ssh2, { type AnyAuthMethod, type Client, type ConnectConfig } from "ssh2";

import { algorithmsFor, fingerprint, parseHostKey } from "./host-key.ts";
import { sleep, type Operation } from "./operation.ts";

export interface Endpoint {
  host: string;
  port?: number;
  user?: string;
  password?: string;
  privateKey?: string;
  privateKeyPassword?: string;
  agentSocketPath?: string;
  dialErrorLimit?: number;
  perDialTimeout?: number;
  hostKey?: string;
}

export interface Connection extends Endpoint {
  proxy?: Endpoint;
}

/** Between dials: 100 ms at first, half as much again each time, at most 5 s (sdk/go/common/util/retry). */
const retryDelay = { first: 100, factor: 1.5, most: 5000 };

/**
 * Connects, through the proxy if there is one, dialing again after a failure as often as `dialErrorLimit` allows. The
 * caller ends the client; its proxy ends with it.
 * @throws Error for input that cannot work (at once), or the last dial's failure
 */
export async function dial(connection: Connection, operation: Operation): Promise<Client> {
  const config = clientConfig(connection);
  if (!connection.proxy) {
    return dialWithRetry("Dial", connection, operation, () => connectClient(connection, config, operation));
  }
  const { proxy } = connection;
  return prefixErrors("proxy: ", async () => {
    const proxyConfig = clientConfig(proxy);
    const bastion = await dialWithRetry("Dial proxy", proxy, operation, () =>
      connectClient(proxy, proxyConfig, operation),
    );
    try {
      const client = await dialWithRetry("Dial from proxy", connection, operation, async () =>
        connectClient(connection, { ...config, sock: await forward(bastion, connection) }, operation),
      );
      client.once("close", () => bastion.end());
      return client;
    } catch (error) {
      bastion.end();
      throw error;
    }
  });
}

/** Dials until it works, or has failed more often than the endpoint's limit (-1: any number of times). */
export async function dialWithRetry<T>(
  what: string,
  { dialErrorLimit: limit = 10 }: Pick<Endpoint, "dialErrorLimit">,
  { log, signal }: Operation,
  dialOnce: () => Promise<T>,
): Promise<T> {
  let delay = retryDelay.first;
  for (let failures = 0; ; failures++) {
    signal.throwIfAborted();
    try {
      return await dialOnce();
    } catch (error) {
      if (limit > -1 && failures >= limit) {
        throw new Error(`after ${failures} failed attempts: ${(error as Error).message}`, { cause: error });
      }
    }
    log.status(`${what} ${failures + 1}/${limit === -1 ? "inf" : limit} failed: retrying`);
    await sleep(delay, signal);
    delay = Math.min(delay * retryDelay.factor, retryDelay.most);
  }
}

/**
 * What ssh2 needs to know. Private key, then password, then the agent: the agent is asked only when there is no key, as in
 * Go's client, which tries each kind of authentication once.
 */
function clientConfig(endpoint: Endpoint): ConnectConfig {
  const { host, port = 22, user = "root", perDialTimeout = 15 } = endpoint;
  const expected = endpoint.hostKey === undefined ? undefined : parseHostKey(endpoint.hostKey);
  return {
    host,
    port: Math.trunc(port),
    username: user,
    readyTimeout: perDialTimeout * 1000,
    // The official provider has no keepalive and waits forever for a host that vanished.
    keepaliveInterval: 30_000,
    keepaliveCountMax: 10,
    authHandler: authentications(endpoint, user),
    ...(expected && {
      algorithms: { serverHostKey: algorithmsFor(expected.type) as never },
      hostVerifier: (offered: Buffer) => offered.equals(expected.blob),
    }),
  };
}

function authentications(endpoint: Endpoint, username: string): ConnectConfig["authHandler"] {
  const { privateKey, privateKeyPassword, password } = endpoint;
  const methods: AnyAuthMethod[] = [{ type: "none", username }];
  if (privateKey !== undefined) {
    const key = ssh2.utils.parseKey(privateKey, privateKeyPassword);
    if (key instanceof Error) throw new Error(`private key of ${username}@${endpoint.host}: ${key.message}`);
    methods.push({ type: "publickey", username, key: privateKey, passphrase: privateKeyPassword });
  }
  if (password !== undefined) {
    methods.push({ type: "password", username, password });
    methods.push({
      type: "keyboard-interactive",
      username,
      prompt: (_name, _instructions, _language, prompts, answer) => {
        answer(prompts.map(() => password));
      },
    });
  }
  const agent = endpoint.agentSocketPath ?? process.env["SSH_AUTH_SOCK"];
  if (agent && privateKey === undefined) methods.push({ type: "agent", username, agent });
  return methods;
}

/** One dial. Everything that can go wrong comes back as an error that names the address. */
async function connectClient(
  endpoint: Endpoint,
  config: ConnectConfig,
  { signal }: Operation,
): Promise<Client> {
  await requireAgent(endpoint);
  const client = new ssh2.Client();
  let offered: Buffer | undefined;
  const { hostVerifier } = config;
  const verifier = hostVerifier && {
    hostVerifier: (key: Buffer) => {
      offered = key;
      return (hostVerifier as (key: Buffer) => boolean)(key);
    },
  };
  return new Promise((resolve, reject) => {
    const abort = () => {
      fail(signal.reason as Error);
    };
    const fail = (error: Error) => {
      signal.removeEventListener("abort", abort);
      client.destroy();
      reject(new Error(dialFailure(endpoint, config, error, offered), { cause: error }));
    };
    client
      .once("ready", () => {
        signal.removeEventListener("abort", abort);
        resolve(client);
      })
      // Heard as long as the client lives: an error that nobody hears would end the process. After "ready" it only hangs
      // up, and whoever uses the connection sees its end.
      .on("error", fail)
      .once("close", () => {
        fail(new Error("connection closed"));
      });
    signal.addEventListener("abort", abort, { once: true });
    try {
      client.connect({ ...config, ...verifier });
    } catch (error) {
      fail(error as Error);
    }
  });
}

/** An agent that was asked for by path must be there (remote/connection.go, dialAgent). */
async function requireAgent({ agentSocketPath: path, privateKey }: Endpoint): Promise<void> {
  if (path === undefined || privateKey !== undefined) return;
  await new Promise<void>((resolve, reject) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      reject(new Error(`dial unix ${path}: connect: ${networkReason(error)}`, { cause: error }));
    });
  });
}

function forward(bastion: Client, { host, port = 22 }: Endpoint): Promise<ssh2.ClientChannel> {
  return new Promise((resolve, reject) => {
    bastion.forwardOut("127.0.0.1", 0, host, Math.trunc(port), (error, channel) => {
      if (error) reject(new Error(`dial tcp ${host}:${port}: ${error.message}`, { cause: error }));
      else resolve(channel);
    });
  });
}

function dialFailure(
  { host, port = 22, user = "root", hostKey }: Endpoint,
  { authHandler }: ConnectConfig,
  error: Error & { level?: string; code?: string },
  offered: Buffer | undefined,
): string {
  const address = `${host}:${port}`;
  if (error.level === "client-authentication") {
    const tried = (authHandler as { type: string }[]).map(({ type }) =>
      type === "agent" ? "publickey" : type,
    );
    const methods = [...new Set(tried)].join(" ");
    return `ssh: handshake failed: ssh: unable to authenticate as ${user} at ${address}, attempted methods [${methods}], no supported methods remain`;
  }
  const expected = hostKey === undefined ? undefined : parseHostKey(hostKey).blob;
  if (expected && offered && !offered.equals(expected)) {
    return `ssh: handshake failed: ssh: host key mismatch at ${address}: it has ${fingerprint(offered)}, hostKey is ${fingerprint(expected)}`;
  }
  if (error.level === "client-timeout") return `dial tcp ${address}: i/o timeout`;
  if (error.level === "client-socket") return `dial tcp ${address}: ${networkReason(error)}`;
  return `ssh: handshake failed with ${address}: ${error.message}`;
}

/** A network error in Go's words. */
function networkReason({ code, message }: NodeJS.ErrnoException): string {
  const reasons: Record<string, string> = {
    ECONNREFUSED: "connect: connection refused",
    ECONNRESET: "read: connection reset by peer",
    EHOSTUNREACH: "connect: no route to host",
    ENETUNREACH: "connect: network is unreachable",
    ENOENT: "no such file or directory",
    ENOTFOUND: "lookup: no such host",
    ETIMEDOUT: "i/o timeout",
  };
  return reasons[code ?? ""] ?? message;
}

async function prefixErrors<T>(prefix: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Error(prefix + (error as Error).message, { cause: error });
  }
}
