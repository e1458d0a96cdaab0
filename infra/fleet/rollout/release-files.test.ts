import { expect, test } from "vitest";
import { remedyFor } from "./release-files.ts";

test("a file that is not what its digest says is made anew by commands", () => {
  const key = "696dc03ed1d0".padEnd(64, "0");
  expect(remedyFor({ store: "file:///store", key, file: "model.gguf" })).toBe(
    "`./pipress store rm 696dc03ed1d0 --yes`, then `./pipress up`",
  );
  expect(remedyFor("llama-server")).toMatch(/^`rm -r \/.*\/llama\.cpp`, then `npm start`$/);
});
