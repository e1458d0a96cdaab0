import { serve } from "../plugin/serve.ts";
import { jobQueueResource } from "../builder/aws/job-queue-resource.ts";
import { playbookResource } from "../fleet/rollout/playbook-resource.ts";
import { waveResource } from "../fleet/rollout/wave-resource.ts";
import { secretResource } from "./secret-resource.ts";
import { virtualPiResource } from "../virtual-pi/resource.ts";

await serve({
  name: "pipress",
  version: "0.2.0",
  resources: {
    "pipress:index:JobQueue": jobQueueResource,
    "pipress:index:Playbook": playbookResource,
    "pipress:index:Secret": secretResource,
    "pipress:index:VirtualPi": virtualPiResource,
    "pipress:index:Wave": waveResource,
  },
});
