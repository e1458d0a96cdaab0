/** By how many hours after its start an instance is gone, at the latest. The policy pack wants it on whatever starts one. */
export const ttlTag = "pipress:ttl-hours";

/** That on-demand instances were asked for: `builder.aws.onDemand`. */
export const consentTag = "pipress:on-demand-consent";
