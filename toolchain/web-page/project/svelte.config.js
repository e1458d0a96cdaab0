// Takes the place of upstream's, which lies beside it in the folder of a build: one file in the place of many.
import upstream from "./upstream.svelte.config.js";

export default {
  ...upstream,
  kit: {
    ...upstream.kit,
    files: { ...upstream.kit.files, appTemplate: "one-page.html" },
    output: { bundleStrategy: "inline" },
    // By default the time of the build: the same source gives the same bytes anywhere.
    version: { name: process.env.LLAMA_BUILD_NUMBER },
  },
};
