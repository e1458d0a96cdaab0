import { serve } from "../plugin/serve.ts";

await serve({
  name: "pipress",
  version: "0.2.0",
  resources: {
    // Each is loaded with the first resource of its type: the engine waits until this process is up, twice in an `up`.
    "pipress:index:JobQueue": async () =>
      (await import("../builder/aws/job-queue-resource.ts")).jobQueueResource,
    "pipress:index:Playbook": async () =>
      (await import("../fleet/rollout/playbook-resource.ts")).playbookResource,
    "pipress:index:Secret": async () => (await import("./secret-resource.ts")).secretResource,
    "pipress:index:StackId": async () => (await import("./stack-id-resource.ts")).stackIdResource,
    "pipress:index:VirtualPi": async () => (await import("../virtual-pi/resource.ts")).virtualPiResource,
    "pipress:index:Wave": async () => (await import("../fleet/rollout/wave-resource.ts")).waveResource,
  },
});
