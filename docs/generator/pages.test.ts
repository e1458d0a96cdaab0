import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { artifactsConfigSchema } from "../../infra/config/aws-schema.ts";
import { stackConfigSchema } from "../../infra/config/schema.ts";
import { keySections } from "./key-list.ts";
import { fillParts, generatedPages, generatePage, jsonSchema } from "./pages.ts";

test.each(generatedPages)(
  "%s is what `npm run generate` makes of its sources today",
  async (path) => {
    expect(await generatePage(path)).toBe(readFileSync(join(repoRoot, path), "utf8"));
  },
  60_000,
);

test("a part is replaced between its marks, and the text around it stays", () => {
  const page = "before\n<!-- begin answer: note -->\nold\n<!-- end answer -->\nafter";
  expect(fillParts(page, { answer: () => "42" })).toBe(
    "before\n<!-- begin answer: note -->\n\n42\n\n<!-- end answer -->\nafter",
  );
});

test("a part that nothing makes is an error", () => {
  expect(() => fillParts("<!-- begin nothing -->\n<!-- end nothing -->", {})).toThrow(
    'nothing makes the part "nothing"',
  );
});

const configuration = keySections(jsonSchema(stackConfigSchema));

test("a key of the configuration has the description, the default and the example of its schema", () => {
  expect(configuration).toMatch(/\*\*`soak`\*\* \(duration, default `"1 minute"`\): .*healthy/);
  expect(configuration).toMatch(/\*\*`bandwidth`\*\* \(size, default no limit\): .* Example: `"5 MB"`\./);
  expect(configuration).toMatch(/### `builder.ssh`\n\n\(object\): A Linux machine/);
  expect(configuration).toMatch(/### `recipe`\n\n\(text\): How the model is made/);
  expect(configuration).toMatch(/\*\*`huggingFace.repo`\*\* \(text, required\)/);
});

test("hosts have the keys of real and of virtual ones", () => {
  expect(configuration).toMatch(/\*\*`hostKey`\*\* \(text, required\)/);
  expect(configuration).toMatch(/\*\*`virtual.cpus`\*\* \(integer, 1 to 4, default `2`\)/);
});

test("every key of the configuration has a description", () => {
  const text = configuration + keySections(jsonSchema(artifactsConfigSchema));
  expect(text.split("\n").filter((line) => line.endsWith(")"))).toEqual([]);
});
