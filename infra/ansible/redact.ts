/** Shortest string worth hiding: shorter ones are in every second word. */
const shortest = 6;

/** A function that replaces every secret string found anywhere in `secrets` by `[secret]`. */
export function redactor(secrets: unknown): (text: string) => string {
  const hidden = [...new Set(strings(secrets))]
    .filter((text) => text.length >= shortest)
    .sort((a, b) => b.length - a.length);
  return (text) => hidden.reduce((redacted, secret) => redacted.replaceAll(secret, "[secret]"), text);
}

function strings(value: unknown): string[] {
  if (typeof value === "string") return [value, ...value.split("\n")];
  if (value !== null && typeof value === "object") return Object.values(value).flatMap(strings);
  return [];
}
