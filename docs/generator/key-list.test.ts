import { expect, test } from "vitest";
import { keySections, type JsonSchema } from "./key-list.ts";

function object(properties: Record<string, JsonSchema>, facts: Partial<JsonSchema> = {}): JsonSchema {
  return { type: "object", properties, ...facts };
}

const source = object(
  { path: { type: "string", description: "Where it is." } },
  { description: "A file.", required: ["path"] },
);

test("a key has a section of its own, the keys below it a list", () => {
  const server = object(
    {
      port: { type: "integer", default: 8080, description: "Where it listens." },
      name: { type: "string", example: "pi", defaultText: "that of the host" },
      user: { type: "string" },
    },
    { description: "Settings.", required: ["user"] },
  );
  expect(keySections(object({ server }))).toBe(
    [
      "",
      "### `server`",
      "",
      "(object): Settings.",
      "",
      "- **`port`** (integer, default `8080`): Where it listens.",
      "- **`name`** (text, default that of the host) Example: `pi`.",
      "- **`user`** (text, required)",
    ].join("\n"),
  );
});

test("the builders and the steps have sections of their own", () => {
  const text = keySections(object({ steps: object({ prune: object({ ratio: { type: "number" } }) }) }));
  expect(text).toContain("### `steps`");
  expect(text).toContain("### `steps.prune`");
  expect(text).toContain("- **`ratio`** (number)");
});

test("keys in lists and in maps are named from their section", () => {
  const text = keySections(
    object({
      hosts: { type: "array", items: object({ address: { type: "string" } }) },
      groups: { type: "object", additionalProperties: object({ user: { type: "string" } }) },
    }),
  );
  expect(text).toContain("(list of object)\n\n- **`address`** (text)");
  expect(text).toContain("(map of names to object)\n\n- **`user`** (text)");
});

test.each<[string, JsonSchema]>([
  ["number, above 0, below 0.9", { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 0.9 }],
  ["integer, 1 to 65535", { type: "integer", minimum: 1, maximum: 65535 }],
  ["integer, at least 0", { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER }],
  ["text or number", { type: ["string", "number"] }],
  ["`true` or number", { anyOf: [{ type: "boolean", const: true }, { type: "number" }] }],
  ["`skip` or `fail`", { type: "string", enum: ["skip", "fail"] }],
  ["duration", { type: "string", title: "duration" }],
  ["list of true or false, default `[]`", { type: "array", items: { type: "boolean" }, default: [] }],
])("a type reads %s", (words, schema) => {
  expect(keySections(object({ key: schema }))).toContain(`(${words})`);
});

test("an object that stands in two places is described in the first, references are followed", () => {
  const text = keySections({
    ...object({
      one: { $ref: "#/$defs/source" },
      two: { $ref: "#/$defs/source", description: "Another." },
    }),
    $defs: { source },
  });
  expect(text).toContain("### `one`\n\n(object): A file.\n\n- **`path`** (text, required): Where it is.");
  expect(text).toContain("### `two`\n\n(object): Another. As `one`.");
  expect(text.match(/Where it is/g)).toHaveLength(1);
});

test("a long list of values is written once", () => {
  const type: JsonSchema = {
    type: "string",
    enum: Array.from({ length: 20 }, (_, index) => `Q${String(index)}`),
  };
  const text = keySections(object({ one: type, two: type }));
  expect(text.match(/`Q19`/g)).toHaveLength(1);
  expect(text).toContain("### `two`\n\n(text) As `one`.");
});

test("a key that two variants share stands there once, required only where both require it", () => {
  const name: JsonSchema = { type: "string" };
  const text = keySections(
    object({
      host: {
        anyOf: [object({ name, address: name }, { required: ["name", "address"] }), object({ name })],
      },
    }),
  );
  expect(text.match(/`name`/g)).toHaveLength(1);
  expect(text).toContain("**`name`** (text)");
  expect(text).toContain("**`address`** (text, required)");
});
