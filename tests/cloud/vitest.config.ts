import { defineConfig } from "vitest/config";

/** Real engine, real S3 server, real sshd; one file after the other, because stages and engine want all cores. */
export default defineConfig({
  test: {
    include: ["tests/cloud/*.test.ts", "infra/builder/ssh/box.test.ts"],
    fileParallelism: false,
    testTimeout: 90 * 60_000,
    hookTimeout: 5 * 60_000,
    reporters: ["verbose"],
  },
});
