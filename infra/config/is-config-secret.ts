import * as pulumi from "@pulumi/pulumi";

/** Whether the value of a key, or a part of it, was set with `config set --secret`. @param key e.g. `pipress:hosts` */
export function isConfigSecret(key: string): boolean {
  // The SDK has this function but not in its types.
  return (pulumi.runtime as unknown as { isConfigSecret: (key: string) => boolean }).isConfigSecret(key);
}
