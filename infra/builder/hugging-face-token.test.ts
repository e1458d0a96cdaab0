import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { secretToken } from "./hugging-face-token.ts";

const key = "pipress:huggingFaceToken";

describe("secretToken", () => {
  it("is a secret, so that the state holds it encrypted", async () => {
    pulumi.runtime.setAllConfig({ [key]: "hf_abc" }, [key]);
    const token = secretToken("hf_abc");
    expect(token && (await pulumi.isSecret(token))).toBe(true);
  });

  it("refuses a token that lies in the configuration in clear, without repeating it", () => {
    pulumi.runtime.setAllConfig({ [key]: "hf_abc" }, []);
    expect(() => secretToken("hf_abc")).toThrow(`${key}: is written in clear — revoke it`);
    expect(() => secretToken("hf_abc")).not.toThrow("hf_abc");
  });

  it("is nothing where none is set", () => {
    expect(secretToken(undefined)).toBeUndefined();
  });
});
