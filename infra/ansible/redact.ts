/** Shortest string worth hiding: shorter ones are in every second word. */
const shortest = 6;

/**
 * A function that replaces every secret string found anywhere in `secrets` by `[secret]`, as it is and as it stands in JSON,
 * which is what Ansible's events are. The longest go first: a secret may begin with another, whose tail would be left.
 */
export function redactor(secrets: unknown): (text: string) => string {
  const hidden = [...new Set(strings(secrets).flatMap((text) => [text, inJson(text), inAsciiJson(text)]))]
    .filter((text) => text.length >= shortest)
    .sort((a, b) => b.length - a.length);
  return (text) => hidden.reduce((redacted, secret) => redacted.replaceAll(secret, "[secret]"), text);
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** As Python's json writes it. */
function inAsciiJson(text: string): string {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return inJson(text).replace(/[^\0-\x7f]/g, escaped);
}

function strings(value: unknown): string[] {
  if (typeof value === "string") return [value, ...value.split("\n")];
  if (value !== null && typeof value === "object") return Object.values(value).flatMap(strings);
  return [];
}
