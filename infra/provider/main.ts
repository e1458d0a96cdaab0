import { serve } from "../provider-runtime/serve.ts";
import { playbookResource } from "../rollout/playbook-resource.ts";
import { secretResource } from "../secret/resource.ts";

await serve({
  name: "pipress",
  version: "0.1.0",
  resources: {
    "pipress:index:Secret": secretResource,
    "pipress:index:Playbook": playbookResource,
  },
});
