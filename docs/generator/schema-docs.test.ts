import { expect, test } from "vitest";
import { stackConfigSchema } from "../../infra/config/schema.ts";
import { SchemaModule } from "./schema-docs.ts";

const keys = new SchemaModule(["infra/config/schema.ts"], new Map()).keys(
  "stackConfigSchema",
  stackConfigSchema,
);
const key = (path: string) => keys.find((candidate) => candidate.path === path);

test("a key has the comment, the default and the example that stand above it in the schema", () => {
  expect(key("rollout.soak")).toMatchObject({
    type: "duration",
    default: '"1 minute"',
    required: false,
    description: expect.stringContaining("healthy") as string,
  });
});

test("a key that must be there is required", () => {
  expect(key("recipe")).toMatchObject({ type: "text", required: true });
});

test("a key without a comment has that of the schema it is declared with", () => {
  expect(key("builder.ssh")?.description).toContain("Linux machine");
});
