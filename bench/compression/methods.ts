/** Methods of the project, by the name that a recipe gives them, in the order of tables. */
export const OURS = [
  "ffn-second-order",
  "mixed",
  "ffn-activation",
  "block-influence",
  "angular-distance",
  "attention-groups",
];

/** What they are measured by, and its name in tables. `random` and `magnitude` are stages too, for comparison alone. */
export const PEERS: Readonly<Record<string, string>> = {
  "torch-pruning-taylor": "Torch-Pruning, Taylor",
  "prune-layers": "`llama-quantize --prune-layers`",
  random: "FFN channels at random",
  magnitude: "FFN channels by magnitude",
  "torch-pruning": "Torch-Pruning, magnitude",
};

export const METHODS: readonly string[] = [...OURS, ...Object.keys(PEERS)];
