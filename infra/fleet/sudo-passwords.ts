import * as pulumi from "@pulumi/pulumi";
import { sudoVars } from "../ansible/sudo-password.ts";
import { UserError } from "../../common/user-error.ts";
import { isConfigSecret } from "../config/is-config-secret.ts";
import type { StackConfig } from "../config/schema.ts";

/** A host's password as secret variables of its plays, encrypted in state; none where it has none. */
export function secretSudoVars(password: string | undefined): Record<string, pulumi.Output<string>> {
  return sudoVars(password === undefined ? undefined : pulumi.secret(password));
}

/** @throws UserError with every password of sudo that lies in the stack's configuration in clear */
export function checkSudoPasswords({ sudoPassword, groups, hosts, endpoint }: StackConfig): void {
  const written: [key: string, path: string, password: string | undefined][] = [
    ["sudoPassword", "", sudoPassword],
    ...Object.entries(groups).map(([name, group]): [string, string, string | undefined] => [
      ...(["groups", `.${name}.sudoPassword`] as const),
      group.sudoPassword,
    ]),
    ...hosts.map((host, index): [string, string, string | undefined] => [
      ...(["hosts", `[${index}].sudoPassword`] as const),
      "sudoPassword" in host ? host.sudoPassword : undefined,
    ]),
    [
      "endpoint",
      ".host.sudoPassword",
      typeof endpoint?.host === "object" ? endpoint.host.sudoPassword : undefined,
    ],
  ];
  const clear = written.filter(
    ([key, , password]) => password !== undefined && !isConfigSecret(`pipress:${key}`),
  );
  if (clear.length === 0) return;
  throw new UserError(
    clear.map(([key, path]) => ({
      where: `pipress:${key}${path}`,
      what: "is written in clear",
      remedy: `remove it and set it with \`pulumi config set --secret${path && " --path"} 'pipress:${key}${path}'\`; to have had it in a file is reason to change it`,
    })),
  );
}
