import { describe, expect, it } from "vitest";
import { describeTally, sum, tallyJUnit, tallyVitest } from "./tally.ts";

describe("tallyVitest", () => {
  const suite = (status: string, ...tests: string[]) => ({
    status,
    assertionResults: tests.map((result) => ({ status: result })),
  });

  it("counts tests, and a file that could not be loaded as one failure", () => {
    const report = {
      numPassedTests: 2,
      numPendingTests: 1,
      testResults: [
        suite("passed", "passed", "passed", "skipped"),
        suite("failed", "failed"),
        suite("failed"),
      ],
    };
    expect(tallyVitest(JSON.stringify(report))).toEqual({ passed: 2, failed: 2, skipped: 1 });
  });
});

describe("tallyJUnit", () => {
  it("counts errors as failures, and skipped tests by themselves", () => {
    const xml = `<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="10" time="1"></testsuite></testsuites>`;
    expect(tallyJUnit(xml)).toEqual({ passed: 4, failed: 3, skipped: 3 });
  });
});

describe("sum", () => {
  it("adds suites up", () => {
    expect(
      sum([
        { passed: 1, failed: 0, skipped: 4 },
        { passed: 2, failed: 3, skipped: 5 },
      ]),
    ).toEqual({ passed: 3, failed: 3, skipped: 9 });
  });
});

describe("describeTally", () => {
  it("names what there is", () => {
    expect(describeTally({ passed: 3, failed: 1, skipped: 2 })).toBe("3 passed, 2 skipped, 1 failed");
    expect(describeTally({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed");
  });
});
