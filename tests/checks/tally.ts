/** What a suite of checks came to. */
export interface Tally {
  passed: number;
  failed: number;
}

export function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce((a, b) => ({ passed: a.passed + b.passed, failed: a.failed + b.failed }), {
    passed: 0,
    failed: 0,
  });
}

/** The counts in a vitest JSON report; a file that could not even be loaded counts as one failure. */
export function tallyVitest(report: string): Tally {
  const { numPassedTests, testResults } = JSON.parse(report) as VitestReport;
  const failed = testResults.map(({ status, assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status === "failed").length;
    return status === "failed" ? Math.max(1, tests) : tests;
  });
  return { passed: numPassedTests, failed: failed.reduce((a, b) => a + b, 0) };
}

interface VitestReport {
  numPassedTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

/** The counts in pytest's JUnit report; an error (in collection, in a fixture) is a failure, a skipped test is neither. */
export function tallyJUnit(xml: string): Tally {
  const total = { tests: 0, failures: 0, errors: 0, skipped: 0 };
  for (const [suite] of xml.matchAll(/<testsuite\s[^>]*>/g)) {
    for (const name of Object.keys(total) as (keyof typeof total)[]) {
      total[name] += Number(new RegExp(`\\s${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
    }
  }
  const failed = total.failures + total.errors;
  return { passed: total.tests - failed - total.skipped, failed };
}
