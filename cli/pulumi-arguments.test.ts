import { expect, test } from "vitest";
import { namedStack, needsPassphrase } from "./pulumi-arguments.ts";

const args = (line: string) => line.split(" ");

test.each([
  ["stack init home", "home"],
  ["stack init --secrets-provider passphrase acme/pipress/home --no-select", "acme/pipress/home"],
  ["stack select --create home", "home"],
  ["up --yes --stack home", "home"],
  ["up -s home --yes", "home"],
  ["config set --stack=home --secret huggingFaceToken hf_abc", "home"],
  ["up --yes", undefined],
  ["stack ls", undefined],
  ["stack init", undefined],
])("%s names %s", (line, stack) => {
  expect(namedStack(args(line))).toBe(stack);
});

test("only what encrypts or decrypts needs a passphrase", () => {
  const needing = [
    "up",
    "preview",
    "destroy --yes",
    "config set --secret a b",
    "stack init home",
    "stack output",
  ];
  const others = ["version", "stack ls", "stack select home", "stack export", "stack rm home", "logout"];
  for (const line of [...needing, "stack select --create home"])
    expect(needsPassphrase(args(line)), line).toBe(true);
  for (const line of others) expect(needsPassphrase(args(line)), line).toBe(false);
});
