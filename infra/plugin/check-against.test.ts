import { expect, test } from "vitest";
import { z } from "zod";
import { checkAgainst } from "./check-against.ts";
import { unknown } from "./values.ts";

const schema = z.strictObject({
  host: z.strictObject({ port: z.int().min(1).default(22), name: z.string() }),
  files: z.array(z.strictObject({ bytes: z.int() })).default([]),
});

test("defaults are filled in", () => {
  expect(checkAgainst(schema, { host: { name: "pi-0" } })).toEqual({
    inputs: { host: { name: "pi-0", port: 22 }, files: [] },
  });
});

test("every problem is reported at once, by property path", () => {
  const { failures } = checkAgainst(schema, {
    host: { port: 0, adress: "x" },
    files: [{ bytes: 1 }, { bytes: "2" }],
  });
  expect(failures?.map(({ property }) => property)).toEqual([
    "host.port",
    "host.name",
    "host.adress",
    "files[1].bytes",
  ]);
  expect(failures?.[1]?.reason).toBe("missing");
  expect(failures?.[2]?.reason).toBe("unknown property");
});

test("what is not known yet is no problem", () => {
  expect(checkAgainst(schema, { host: { port: unknown, name: unknown }, files: unknown }).failures).toEqual(
    [],
  );
  expect(checkAgainst(schema, { host: unknown }).failures).toEqual([]);
});
