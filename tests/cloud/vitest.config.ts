import { defineConfig } from "vitest/config";

/** Real engine, real S3 server, real sshd, on two cores; cases build on each other, so the first failure ends it. */
export default defineConfig({
  test: {
    include: ["tests/cloud/*.test.ts", "infra/builder/ssh/machine.it.test.ts"],
    fileParallelism: false,
    bail: 1,
    testTimeout: 90 * 60_000,
    hookTimeout: 5 * 60_000,
    reporters: ["verbose"],
  },
});
