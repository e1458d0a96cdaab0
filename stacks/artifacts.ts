import { Provider } from "@pulumi/aws/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { ArtifactBucket } from "../infra/store/artifact-bucket.ts";
import { parseArtifactsConfig } from "../infra/config/load.ts";

/** The bucket that artifacts live in, in a stack of its own: it outlives every stack that uses it. */
export function artifactsStack(): Record<string, unknown> {
  const { region, bucket, prefix, keepRemoved } = parseArtifactsConfig(pulumi.runtime.allConfig());
  const provider = new Provider("aws", { region });
  new ArtifactBucket("artifacts", { bucket, prefix, keepRemoved }, { providers: [provider] });
  // For `pipress:store` of the stacks that use it.
  return { store: `s3://${bucket}/${prefix}?region=${region}` };
}
