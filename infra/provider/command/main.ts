import { serve } from "../../plugin/serve.ts";
import { localCommand } from "./local-command.ts";
import { packageSchema, packageVersion } from "./schema.ts";

await serve({
  name: "command",
  version: packageVersion,
  schema: packageSchema,
  resources: { "command:local:Command": () => localCommand },
  elsewhere:
    "this stand-in serves command:local:Command; the vendor's plugin has the rest: " +
    `\`pulumi plugin install resource command ${packageVersion}\``,
});
