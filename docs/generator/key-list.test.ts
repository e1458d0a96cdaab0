import { expect, test } from "vitest";
import { keySections, wrap, type DocumentedKey } from "./key-list.ts";

function key(path: string, facts: Partial<DocumentedKey> = {}): DocumentedKey {
  return {
    path,
    identity: path,
    type: "text",
    default: undefined,
    required: false,
    description: "",
    example: undefined,
    ...facts,
  };
}

test("a key has a section of its own, the keys below it a list", () => {
  const text = keySections([
    key("server", { type: "object", description: "Settings" }),
    key("server.port", { type: "integer", default: "8080", description: "Where it listens" }),
    key("server.name", { required: true, example: "pi" }),
  ]);
  expect(text).toBe(
    [
      "### `server`",
      "",
      "(object): Settings.",
      "",
      "- **`port`** (integer, default `8080`): Where it listens.",
      "- **`name`** (text, required) Example: `pi`.",
      "",
    ].join("\n"),
  );
});

test("keys by the same schema are described in the first section that has them", () => {
  const port = { identity: "the port" };
  const text = keySections([
    key("server"),
    key("server.port", port),
    key("hosts"),
    key("hosts[].server.port", port),
  ]);
  expect(text).toContain("As in [`server`](#server): `server.port`.");
});

test("a key that two variants share stands there once, required only where both require it", () => {
  const text = keySections([
    key("hosts"),
    key("hosts[].name", { required: true }),
    key("hosts[].address", { required: true }),
    key("hosts[].name"),
  ]);
  expect(text.match(/`name`/g)).toHaveLength(1);
  expect(text).toContain("**`name`** (text)");
  expect(text).toContain("**`address`** (text, required)");
});

test("lines break at spaces, but not before what would begin a list", () => {
  const text = wrap(`${"word ".repeat(23)}ab - cd`, "  ");
  expect(text.split("\n").every((line) => line.length <= 120)).toBe(true);
  expect(text).not.toMatch(/^\s*- /m);
});
