/**
 * The layers, from the lowest to the highest. A folder imports from those before it; `npm run lint` fails on an import
 * upward and on a circle. Reasons: docs/decisions/0011-layout.md.
 */
const layers = [
  "common",
  "toolchain",
  "infra/plugin",
  "infra/ssh",
  "infra/store",
  "infra/recipe",
  "infra/model",
  "infra/config",
  "infra/stage",
  "infra/plan",
  "infra/prediction",
  "infra/ansible",
  "infra/virtual-pi",
  "infra/builder",
  "infra/fleet",
  "infra/provider",
  "infra/policy-pack",
  "stacks",
  "cli",
];

/** Tests, and what only they use, may reach anywhere. */
const tests = "\\.test\\.ts$|/testing/";

const upward = layers.slice(0, -1).map((layer, index) => ({
  name: `${layer} imports upward`,
  comment: "move the type or function down, or pass it in",
  severity: "error",
  from: { path: `^${layer}/`, pathNot: tests },
  to: { path: `^(${[...layers.slice(index + 1), "bench", "tests"].join("|")})/` },
}));

module.exports = {
  forbidden: [
    ...upward,
    {
      name: "circle",
      comment: "modules that import each other cannot be read one after the other",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "folder without a layer",
      comment: "name it in .dependency-cruiser.cjs, at the height where it belongs",
      severity: "error",
      from: { path: "^infra/", pathNot: `^(${layers.join("|")})/` },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node"] },
  },
};
