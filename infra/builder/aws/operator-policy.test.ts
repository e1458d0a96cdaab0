/** What `docs/aws/operator-policy.json` and `docs/store.md` grant, against what the code asks for. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repoRoot } from "../../../common/paths.ts";
import type { PolicyDocument } from "../../store/bucket-policy.ts";

const read = (...path: string[]) => readFileSync(join(repoRoot, ...path), "utf8");
const policy = JSON.parse(read("docs", "aws", "operator-policy.json")) as PolicyDocument;
const granted = policy.Statement.flatMap(({ Action }) => Action);

/** All text of the code in a folder, tests left out. */
function codeOf(...folder: string[]): string {
  const files = readdirSync(join(repoRoot, ...folder)).filter(
    (file) => /\.(ts|py)$/.test(file) && !/\.test\.ts$|^test_|^conftest/.test(file),
  );
  return files.map((file) => read(...folder, file)).join("\n");
}

/** Each request to S3 names its permission, for the message of a refusal. */
const asked = new Set(
  [codeOf("infra", "store"), codeOf("models", "pipress", "store"), codeOf("models", "pipress", "cloud")]
    .join("\n")
    .match(/(?<=")s3:[A-Z]\w+(?=")/g),
);

describe("the permissions of an operator", () => {
  it("hold what the store asks for, and docs/store.md lists exactly that", () => {
    expect(asked.size).toBeGreaterThan(4);
    expect([...asked].filter((action) => !granted.includes(action))).toEqual([]);
    expect([...new Set(read("docs", "store.md").match(/s3:[A-Z]\w+/g))].sort()).toEqual([...asked].sort());
  });

  it("hold what is asked of Auto Scaling", () => {
    const calls = [
      ...codeOf("models", "pipress", "cloud").matchAll(/\.client\.((?:set|put|describe)_\w+)\(/g),
    ];
    const actions = calls
      .map(([, call = ""]) => call.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase()))
      .filter((action) => !action.startsWith("PutObject"))
      .map((action) => `autoscaling:${action}`);
    expect(actions.length).toBeGreaterThan(3);
    const isGranted = (action: string) =>
      granted.some((one) => one === action || (one.endsWith("*") && action.startsWith(one.slice(0, -1))));
    expect(actions.filter((action) => !isGranted(action))).toEqual([]);
  });

  it("hold in every partition", () => {
    const arns = policy.Statement.flatMap(({ Resource }) => Resource).filter((arn) => arn !== "*");
    expect(arns.filter((arn) => !arn.startsWith("arn:*:"))).toEqual([]);
  });
});
