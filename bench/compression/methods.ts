/** Methods of the project, by the name that a recipe gives them. */
export const OURS = [
  "ffn-activation",
  "ffn-second-order",
  "block-influence",
  "angular-distance",
  "attention-groups",
  "mixed",
] as const;
/** What they are measured by. `random` and `magnitude` are stages too, for comparison alone. */
const CONTROLS = ["random", "magnitude"] as const;
export const TORCH_PRUNING = { "torch-pruning": "magnitude", "torch-pruning-taylor": "taylor" } as const;
export const PRUNE_LAYERS = "prune-layers";
export const METHODS: readonly string[] = [...OURS, ...CONTROLS, ...Object.keys(TORCH_PRUNING), PRUNE_LAYERS];
