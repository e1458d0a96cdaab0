import { UserError } from "../../common/user-error.ts";

/** `s3://bucket/prefix?endpoint=https://…&region=…`; the Python side reads it by the same rules. */
export interface S3Address {
  bucket: string;
  /** Without slashes at its ends; may be empty. */
  prefix: string;
  /** Of a server that is not AWS's. */
  endpoint: string | undefined;
  region: string | undefined;
}

export const s3UrlForm =
  "write it as s3://bucket/prefix, with ?endpoint=https://host:port&region=name where it is not AWS's own";

/** What is wrong with the URL of a store in a bucket; undefined when nothing is. */
export function s3UrlProblem(url: string): string | undefined {
  const { bucket, options } = split(url);
  const { endpoint, region, ...unknown } = options;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) return "names no bucket";
  if (Object.keys(unknown).length > 0)
    return `has an option "${Object.keys(unknown)[0] ?? ""}" that a store does not know`;
  if (region === "") return "has an empty region";
  if (endpoint !== undefined && !/^https?:\/\/[^/]/.test(endpoint))
    return `has an endpoint "${endpoint}" that is not an address`;
  return undefined;
}

/** @throws UserError when `url` is no such URL */
export function parseS3Url(url: string): S3Address {
  const problem = s3UrlProblem(url);
  if (problem !== undefined) throw new UserError({ where: url, what: problem, remedy: s3UrlForm });
  const { bucket, path, options } = split(url);
  const prefix = decodeURIComponent(path).replace(/^\/+|\/+$/g, "");
  return { bucket, prefix, endpoint: options.endpoint, region: options.region };
}

function split(url: string): { bucket: string; path: string; options: Record<string, string> } {
  const match = /^s3:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/.exec(url);
  return {
    bucket: match?.[1] ?? "",
    path: match?.[2] ?? "",
    options: Object.fromEntries(new URLSearchParams(match?.[3] ?? "")),
  };
}
