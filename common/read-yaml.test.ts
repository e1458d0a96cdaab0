import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readYaml } from "./read-yaml.ts";
import { UserError } from "./user-error.ts";

const file = join(mkdtempSync(join(tmpdir(), "pipress-yaml-")), "a.yaml");

it.each<[string, unknown]>([
  ["a: { b: 1 }", { a: { b: 1 } }],
  ["", undefined],
])("reads %j", (text, value) => {
  writeFileSync(file, text);
  expect(readYaml(file)).toEqual(value);
});

it("says what is no YAML, and where", () => {
  writeFileSync(file, "a: b: c\n");
  expect(() => readYaml(file)).toThrow(UserError);
  expect(() => readYaml(file)).toThrow(`${file}: is not YAML: Nested mappings are not allowed`);
});
