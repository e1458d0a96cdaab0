/** What a suite of checks came to. */
export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

export function sum(tallies: readonly Tally[]): Tally {
  const total = (count: keyof Tally) => tallies.reduce((all, tally) => all + tally[count], 0);
  return { passed: total("passed"), failed: total("failed"), skipped: total("skipped") };
}

/** `1472 passed, 12 skipped, 2 failed`, without what is none of. */
export function describeTally({ passed, failed, skipped }: Tally): string {
  return [
    `${String(passed)} passed`,
    ...(skipped > 0 ? [`${String(skipped)} skipped`] : []),
    ...(failed > 0 ? [`${String(failed)} failed`] : []),
  ].join(", ");
}

/** The counts in a vitest JSON report; a file that could not even be loaded counts as one failure. */
export function tallyVitest(report: string): Tally {
  const { numPassedTests, numPendingTests, testResults } = JSON.parse(report) as VitestReport;
  const failed = testResults.map(({ status, assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status === "failed").length;
    return status === "failed" ? Math.max(1, tests) : tests;
  });
  return { passed: numPassedTests, failed: failed.reduce((a, b) => a + b, 0), skipped: numPendingTests };
}

interface VitestReport {
  numPassedTests: number;
  /** Skipped ones. */
  numPendingTests: number;
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
  return { passed: total.tests - failed - total.skipped, failed, skipped: total.skipped };
}
