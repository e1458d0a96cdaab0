import { PolicyPack, type ResourceValidationPolicy } from "@pulumi/policy";
import { rules } from "./rules.ts";

/** The rules as Pulumi takes them: `pulumi preview --policy-pack infra/policy-pack`. */
new PolicyPack("pipress", {
  policies: rules.map(({ name, description, check }): ResourceValidationPolicy => ({
    name,
    description,
    enforcementLevel: "mandatory",
    validateResource: ({ type, props }, report) => {
      for (const problem of check(type, props)) report(problem);
    },
  })),
});
