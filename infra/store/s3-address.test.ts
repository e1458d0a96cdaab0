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
  });

  it.each([
    ["s3://", "names no bucket"],
    ["s3://Models/x", "names no bucket"],
    ["s3://models/x?endpiont=http://h", 'an option "endpiont" that a store does not know'],
    ["s3://models/x?endpoint=h:80", 'an endpoint "h:80" that is not an address'],
    ["s3://models/x?region=", "an empty region"],
  ])("refuses %s", (url, message) => {
    expect(() => parseS3Url(url)).toThrow(UserError);
    expect(() => parseS3Url(url)).toThrow(message);
  });
});
