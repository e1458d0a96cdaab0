import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { parseS3Url } from "./s3-address.ts";

describe("parseS3Url", () => {
  it("reads bucket, prefix, endpoint and region", () => {
    expect(parseS3Url("s3://models/team/a?endpoint=http://127.0.0.1:9000&region=eu-1")).toEqual({
      bucket: "models",
      prefix: "team/a",
      endpoint: "http://127.0.0.1:9000",
      region: "eu-1",
    });
    expect(parseS3Url("s3://models/")).toMatchObject({ prefix: "", endpoint: undefined, region: undefined });
    expect(parseS3Url("s3://models?region=eu-1")).toMatchObject({ bucket: "models", prefix: "" });
  });

  it("takes a prefix without the slashes around it, as it is meant and not as a URL writes it", () => {
    expect(parseS3Url("s3://models//team/a//").prefix).toBe("team/a");
    expect(parseS3Url("s3://models/a%20b/c").prefix).toBe("a b/c");
  });

  it.each(["abc", "a.b-c", "0models9", "a".repeat(63)])("takes the bucket %s", (bucket) => {
    expect(parseS3Url(`s3://${bucket}/p`).bucket).toBe(bucket);
  });

  it.each(["https://host", "http://10.0.0.1:9000"])("takes the endpoint %s", (endpoint) => {
    expect(parseS3Url(`s3://models/p?endpoint=${endpoint}`).endpoint).toBe(endpoint);
  });

  it.each([
    ["s3://", "names no bucket"],
    ["s3://Models/x", "names no bucket"],
    ["s3://ab/x", "names no bucket"],
    ["s3://-models/x", "names no bucket"],
    ["s3://models-/x", "names no bucket"],
    ["s3://mod_els/x", "names no bucket"],
    [`s3://${"a".repeat(64)}/x`, "names no bucket"],
    ["xs3://models/x", "names no bucket"],
    ["s3://models/x#part", "names no bucket"],
    ["s3://models/x?endpoint=http://", 'an endpoint "http://" that is not an address'],
    ["s3://models/x?endpoint=http:///x", "that is not an address"],
    ["s3://models/x?endpoint=xhttp://h", "that is not an address"],
    ["s3://models/x?endpoint=", 'an endpoint "" that is not an address'],
    ["s3://models/x?endpiont=http://h", 'an option "endpiont" that a store does not know'],
    ["s3://models/x?endpoint=h:80", 'an endpoint "h:80" that is not an address'],
    ["s3://models/x?region=", "an empty region"],
  ])("refuses %s", (url, message) => {
    expect(() => parseS3Url(url)).toThrow(UserError);
    expect(() => parseS3Url(url)).toThrow(message);
  });
});
