import type { Settings } from "../hosts.ts";
import { resolveServer } from "../server-settings.ts";

export const server = resolveServer({ contextLength: 512, threads: 4, parallel: 1, minTokensPerSecond: 0 });

/** What a host has where its configuration says no more than where it is. */
export const settings: Omit<Settings, "name"> = {
  build: "prebuilt",
  unreachable: "fail",
  takeOver: false,
  prepare: false,
  labels: {},
  server,
  where: "pipress:hosts[0]",
};
