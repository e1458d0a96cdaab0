import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { fillParts, generatedPages, generatePage } from "./pages.ts";

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
