import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { readStack, readStackFile, readStackValue } from "./stack.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "stack-"))));
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function stackFile(text: string): string {
  const file = join(folder, "Pulumi.home.yaml");
  writeFileSync(file, text);
  return file;
}

const SECRET = "secure: v1:lr8MgYwfC90=:yTyqN2aYoqAMTAJxqLeB1MH1Dc2pjJQdszv==";
const withToken = `encryptionsalt: v1:lr8MgYwfC90=
config:
  pipress:recipe: smollm2-135m
  pipress:huggingFaceToken:
    ${SECRET}
  pipress:store: file:///srv/store
  pipress:hosts:
    - name: pi-0
      virtual: { memory: 2 GiB, cpus: 2 }
  pipress:monitoring: true
`;

it("reads a stack with an encrypted token, which no verb needs, without a passphrase", async () => {
  const { config, name, fullName } = await readStack({
    stack: "organization/pipress/home",
    configFile: stackFile(withToken),
  });
  expect({ name, fullName }).toEqual({ name: "home", fullName: "organization/pipress/home" });
  expect(config).toMatchObject({ recipe: "smollm2-135m", store: "file:///srv/store", monitoring: true });
  expect(config.hosts.map((host) => host.name)).toEqual(["pi-0"]);
  expect(config.huggingFaceToken).toBeUndefined();
});

it("reads one value without looking at the others", async () => {
  const configFile = stackFile(`config: { "pipress:store": "s3://b/p", "pipress:hosts": { ${SECRET} } }`);
  expect(await readStackValue("pipress:store", { stack: "home", configFile })).toBe("s3://b/p");
  expect(await readStackValue("pipress:recipe", { stack: "home", configFile })).toBeUndefined();
});

it("asks Pulumi for what is needed and encrypted, also deep inside a value", async () => {
  const file = stackFile(`
config:
  pipress:recipe: smollm2-135m
  pipress:hosts:
    - name: pi-0
      address: { ${SECRET} }
`);
  const clear = {
    "pipress:hosts": '[{"name":"pi-0","address":"10.0.0.5"}]',
    "pipress:recipe": "smollm2-135m",
  };
  expect(
    await readStackFile(
      file,
      () => true,
      () => Promise.resolve(clear),
    ),
  ).toEqual(clear);
});

it("says what is wrong with a file that is missing or no YAML", async () => {
  const missing = join(folder, "Pulumi.nowhere.yaml");
  await expect(readStack({ stack: "home", configFile: missing })).rejects.toThrow(
    /nowhere.yaml: there is no such file$/,
  );
  const broken = stackFile("config: [");
  await expect(readStack({ stack: "home", configFile: broken })).rejects.toThrow(/Pulumi.home.yaml: /);
});

it("names the nearest stack for one that has no file", async () => {
  await expect(readStack({ stack: "dve" })).rejects.toThrow(
    'Pulumi.dve.yaml: there is no stack "dve" — did you mean "dev"?',
  );
});
