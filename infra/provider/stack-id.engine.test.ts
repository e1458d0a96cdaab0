import { afterAll, beforeAll, expect, test } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { makeProject, type TestProject } from "./testing/engine.ts";

const timeout = 240_000;
let project: TestProject;

beforeAll(async () => {
  project = await makeProject(`
    import { StackId } from "${repoRoot}/infra/provider/stack-id.ts";
    const stackId = new StackId("stack-id");
    export const value = stackId.value;
    export const known = (await stackId.known()) ?? "not yet";
  `);
}, timeout);
afterAll(() => project.remove());

async function outputs(stack: string): Promise<Record<string, string>> {
  const json = await project.pulumi("stack", "output", "--json", "--stack", stack);
  return JSON.parse(json) as Record<string, string>;
}

test(
  "two stacks on the real engine have ids of their own, which stay, and which a first preview does not know",
  { timeout },
  async () => {
    await project.pulumi("stack", "init", "other", "--no-select");
    expect(await project.pulumi("preview", "--stack", "dev")).toMatch(/known *: "not yet"/);
    for (const stack of ["dev", "other"])
      await project.pulumi("up", "--yes", "--skip-preview", "--stack", stack);
    const [mine, others] = [await outputs("dev"), await outputs("other")];
    expect(mine.known).toBe(mine.value);
    expect(mine.value).not.toBe(others.value);
    expect(await project.pulumi("preview", "--stack", "dev", "--expect-no-changes")).toContain("2 unchanged");
    expect(await outputs("dev")).toEqual(mine);
  },
);
