/**
 * A thousand wrong configurations, made from right ones by a seed: each is refused by the path of what is wrong in it, with a
 * message and without a stack trace. `PIPRESS_SEED=7 npx vitest run infra/config/wrong-configs.test.ts` tries others.
 */
import { expect, test } from "vitest";
import { randomNumbers } from "../../common/random.ts";
import { UserError } from "../../common/user-error.ts";
import { loadModel } from "../model/model.ts";
import { hostKey } from "../ssh/testing/host-key.ts";
import { loadFleet } from "./fleet.ts";
import { parseArtifactsConfig, parseStackConfig } from "./load.ts";

type Path = readonly (string | number)[];
type Tree = Record<string, unknown>;

const bastion = { address: "gate.example", port: 2222, user: "jump", hostKey, privateKeyFile: "~/.ssh/gate" };
const server = {
  ...{ port: 8080, contextLength: 1024, threads: 4, parallel: 1, minTokensPerSecond: 0.5, cacheType: "f16" },
  ui: true,
  flags: { "--batch-size": 256, "--no-warmup": true },
};
const access = { port: 22, user: "pi", privateKeyFile: "~/.ssh/pi", bastion };
const shared = { build: "prebuilt", unreachable: "skip", labels: { room: "attic" }, server };
const ready = {
  store: "s3://models/p",
  huggingFaceToken: "hf_abc",
  hosts: [
    { name: "pi-0", virtual: { memory: "1 GiB", cpus: 2, disk: "8 GiB" }, group: "attic", ...shared },
    { name: "pi-1", address: "10.0.0.1", hostKey, agentSocket: "~/agent", ...access, ...shared },
  ],
  groups: { attic: { ...access, agentSocket: "~/agent", ...shared } },
  server,
  endpoint: {
    host: { name: "gate", address: "10.0.0.9", hostKey, ...access },
    ...{ port: 8000, certificate: "/etc/cert.pem", drainTimeout: "1 minute" },
  },
  ...{ monitoring: true, takeOver: true, prepareHosts: true },
  rollout: {
    ...{ canary: 1, steps: ["50 %"], orderBy: "room", soak: "1 minute", maxFailures: 1, concurrency: 3 },
    ...{ bandwidth: "5 MB", prefetch: true, peerToPeer: false, unreachable: "skip" },
  },
};
const common = { recipe: "smollm2-135m", ...ready };
const model = {
  name: "own",
  huggingFace: { repo: "a/b", file: "c.gguf", sha256: "0".repeat(64), revision: "1".repeat(40) },
  smokeTest: { prompt: "1+1?", expect: "2", maxTokens: 8 },
};
const recipe = loadModel({ recipe: common.recipe });
const aws = {
  ...{ region: "us-east-1", onDemand: true, maxCostUsd: 20, maxDuration: "24 h", stallTimeout: "30 minutes" },
  ...{ gpuIdleTimeout: "20 minutes", idleTimeout: "5 minutes" },
  gpu: { types: ["g6e.2xlarge"], disk: "200 GB" },
  build: { types: ["m7i.4xlarge"], disk: "200 GB" },
  prices: { "p6.48xlarge": { onDemand: 98, spot: 40 } },
};
const ssh = { address: "gpu", hostKey, folder: "/srv/pipress", ...access };
const right: readonly Tree[] = [
  { kind: "fleet", ...common, builder: { ssh } },
  { ...common, builder: { aws } },
  { ...ready, model },
  { kind: "artifacts", region: "us-east-1", bucket: "models", prefix: "p", keepRemoved: "30 d" },
];

/** Where a user chooses the keys: another name is no mistake of form, and their values may be of several kinds. */
const free = /\.(?:labels|flags|groups|prices)$/;
/** Where an empty list or map is as good as none. */
const mayBeEmpty =
  /^pipress:(?:hosts|groups|server|rollout|rollout\.steps|builder|builder\.aws\.(?:gpu|build|prices)|(.*\.)?(?:labels|labels\.\w+|flags|server|virtual)|groups\.\w+)$/;

const show = (path: Path): string =>
  `pipress:${path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
    .join("")
    .slice(1)}`;

/** Every place of a tree, the root left out. */
function placesOf(value: unknown, at: Path = []): Path[] {
  const below =
    value !== null && typeof value === "object"
      ? Object.entries(value).flatMap(([key, part]) =>
          placesOf(part, [...at, Array.isArray(value) ? Number(key) : key]),
        )
      : [];
  return at.length === 0 ? below : [at, ...below];
}

interface Wrong {
  config: Tree;
  /** What was done, and the path that has to be named. */
  what: string;
  path: string;
}

/** Makes one mistake at a place of a right configuration; nothing where the mistake drawn is none there. */
function spoil(config: Tree, place: Path, random: () => number): Wrong | undefined {
  // Not structuredClone, which keeps what is shared shared.
  const spoilt = JSON.parse(JSON.stringify(config)) as Tree;
  const parent = place.slice(0, -1).reduce<Tree>((node, key) => node[key] as Tree, spoilt);
  const key = place.at(-1) as string;
  const value = parent[key];
  const at = show(place);
  const above = show(place.slice(0, -1));
  const isFree = free.test(`.${above.split(":").at(-1) ?? ""}`);
  const put = (what: string, wrong: unknown): Wrong => {
    parent[key] = wrong;
    return { config: spoilt, what, path: at };
  };
  const mistakes: (() => Wrong | undefined)[] = [
    () => put("null", null),
    () => (at.endsWith(".labels") ? undefined : put("a map of something else", { "?": 1 })),
    () => put("lists in lists", [[]]),
    () =>
      mayBeEmpty.test(at)
        ? undefined
        : put("empty", Array.isArray(value) ? [] : typeof value === "object" ? {} : ""),
    () => (typeof value === "number" && !isFree ? put("out of range", -1) : undefined),
    () => (typeof value === "number" && !isFree ? put("text for a number", "many") : undefined),
    () => (typeof value === "boolean" && !isFree ? put("text for yes or no", "yes") : undefined),
    () => (typeof value === "object" ? put("text for a structure", "nonsense !") : undefined),
    () => {
      if (isFree || Array.isArray(parent)) return undefined;
      const misspelt = `${key.slice(0, -1)}x${key.slice(-1)}`;
      parent[misspelt] = value;
      Reflect.deleteProperty(parent, key);
      return { config: spoilt, what: "misspelt", path: show([...place.slice(0, -1), misspelt]) };
    },
    () => {
      if (!Array.isArray(parent) || typeof value !== "object") return undefined;
      parent.push(structuredClone(value));
      return {
        config: spoilt,
        what: "there twice",
        path: show([...place.slice(0, -1), parent.length - 1, "name"]),
      };
    },
  ];
  return mistakes[Math.floor(random() * mistakes.length)]?.();
}

/** The problems of a configuration as Pulumi hands it over, found as `up` does, before anything is planned. */
async function problemsOf(config: Tree): Promise<UserError["problems"]> {
  const all = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      `pipress:${key}`,
      typeof value === "string" ? value : value === null ? "" : JSON.stringify(value),
    ]),
  );
  try {
    if (all["pipress:kind"] === "artifacts") parseArtifactsConfig(all);
    else {
      const parsed = parseStackConfig(all);
      await loadFleet(
        parsed,
        "/nowhere/ansible-playbook",
        // Loading it a thousand times takes a while.
        parsed.recipe === common.recipe ? () => recipe : undefined,
      );
    }
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.problems;
  }
}

test("right ones are accepted", async () => {
  for (const config of right) expect(await problemsOf(config)).toEqual([]);
});

test("a thousand wrong ones are each refused by the path of what is wrong", { timeout: 60_000 }, async () => {
  const random = randomNumbers(Number(process.env.PIPRESS_SEED ?? 1));
  const places = right.flatMap((config) => placesOf(config).map((place) => ({ config, place })));
  const accepted: string[] = [];
  for (let tried = 0, made = 0; made < 1000; tried++) {
    // Every place in its turn, so that each is spoilt in several ways.
    const { config, place } = places[tried % places.length] as (typeof places)[number];
    const wrong = spoil(config, place, random);
    if (wrong === undefined) continue;
    made++;
    const problems = await problemsOf(wrong.config).catch((error: unknown) => [
      { where: "a leak", what: String(error instanceof Error ? error.stack : error) },
    ]);
    const isNamed = problems.some(
      ({ where, what }) => where.startsWith(wrong.path) && !/\n\s+at /.test(what),
    );
    const told = problems.map(({ where, what }) => `${where}: ${what}`).join("; ");
    if (!isNamed) accepted.push(`${wrong.path}, ${wrong.what}: ${told || "accepted"}`);
  }
  expect(accepted).toEqual([]);
});
