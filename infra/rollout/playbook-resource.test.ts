import { expect, test } from "vitest";
import type { Call } from "../provider-runtime/handler.ts";
import { diffPlaybook, playbookResource } from "./playbook-resource.ts";

const sha256 = "a".repeat(64);
const inputs = {
  playbook: "package.json",
  contentDigest: "1",
  host: { name: "pi-0", address: "10.0.0.7", port: 22, user: "pi", hostKey: "ssh-ed25519 AAAA" },
  vars: { pipress_release: { settings: { context: 2048 } } },
  secretVars: { pipress_api_keys: ["x"] },
  files: [{ sha256, bytes: 1, path: "/store/a" }],
};
const call = {} as Call;

test("a changed variable is named, and the play runs again in place", () => {
  const news = { ...inputs, vars: { pipress_release: { settings: { context: 4096 } } } };
  expect(diffPlaybook(inputs, {}, news).changes).toEqual({
    "vars.pipress_release.settings.context": { kind: "update" },
  });
});

test("another path of the same file, or another key to get in, changes nothing on the host", () => {
  const news = {
    ...inputs,
    files: [{ sha256, bytes: 1, path: "/elsewhere" }],
    host: { ...inputs.host, privateKeyFile: "/key" },
  };
  expect(diffPlaybook(inputs, { drift: [] }, news).changes).toEqual({});
});

test("drift that a refresh found is a difference of its own", () => {
  const { changes } = diffPlaybook(inputs, { drift: ["inference_service: unit file"] }, inputs);
  expect(changes).toEqual({ drift: { kind: "delete", input: false } });
});

test("every illegal input is reported at once, by property path", async () => {
  const bad = {
    ...inputs,
    playbook: "no/such.yml",
    host: { ...inputs.host, port: 0, hostKey: "AAAA" },
    files: [{ sha256: "abc", bytes: -1, path: "relative" }],
  };
  const { failures } = (await playbookResource.check?.(bad, call)) ?? {};
  expect(failures?.map(({ property }) => property).sort()).toEqual([
    "files[0].bytes",
    "files[0].path",
    "files[0].sha256",
    "host.hostKey",
    "host.port",
    "playbook",
  ]);
});
