/**
 * Variables as they are to mean: text with `{{` or `{%` in it (the smoke test's prompt, an API key) is marked so that Ansible
 * passes it on instead of running it as a template.
 */
export function literal(value: unknown): unknown {
  if (typeof value === "string") return /\{[{%#]/.test(value) ? { __ansible_unsafe: value } : value;
  if (Array.isArray(value)) return value.map(literal);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, literal(entry)]));
  return value;
}
