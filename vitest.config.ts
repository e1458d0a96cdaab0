import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{bench,cli,common,docs,infra,stacks,tests,toolchain}/**/*.test.ts"],
    globalSetup: "tests/checks/temporary-folder.ts",
    exclude: ["tests/e2e/**", "tests/fleet/**", "tests/cloud/**", "node_modules/**"],
  },
});
