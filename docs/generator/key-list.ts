/** A key that a user may write, with what its schema says of it. */
export interface DocumentedKey {
  /** From the root: `rollout.steps`, `hosts[].address`. */
  path: string;
  /** The schema itself: a key that stands in several places by the same schema is described once. */
  identity: unknown;
  type: string;
  /** As it would be written; undefined where there is none. */
  default: string | undefined;
  required: boolean;
  description: string;
  example: string | undefined;
}

const WIDTH = 118;

/**
 * A section for each key at the top, with a list of the keys below it. Keys by a schema that has been described in
 * another section are named there only, with a link.
 */
export function keySections(keys: readonly DocumentedKey[]): string {
  const sections = new Map<string, DocumentedKey[]>();
  for (const key of keys) {
    const section = sectionOf(key.path);
    sections.set(section, [...(sections.get(section) ?? []), key]);
  }
  const describedIn = new Map<unknown, string>();
  return [...sections].map(([name, members]) => sectionText(name, members, describedIn)).join("\n");
}

function sectionText(
  name: string,
  members: readonly DocumentedKey[],
  describedIn: Map<unknown, string>,
): string {
  const head = members.find(({ path }) => path === name);
  const below = unique(members.filter(({ path }) => path !== name));
  const isKnown = ({ identity }: DocumentedKey): boolean => (describedIn.get(identity) ?? name) !== name;
  const known = below.filter(isKnown);
  const isBelowKnown = ({ path }: DocumentedKey): boolean =>
    known.some((key) => path.startsWith(`${key.path}.`) || path.startsWith(`${key.path}[]`));
  const fresh = below.filter((key) => !isKnown(key) && !isBelowKnown(key));
  for (const { identity } of members) if (!describedIn.has(identity)) describedIn.set(identity, name);
  const lines = fresh.map((key) => wrap(`- **\`${relative(key.path, name)}\`** ${facts(key)}`, "  "));
  const references = bySection(
    known.filter((key) => !isBelowKnown(key)),
    describedIn,
  ).map(([section, names]) =>
    wrap(
      `As in [\`${section}\`](#${anchor(section)}): ${names.map((key) => `\`${relative(key, name)}\``).join(", ")}.`,
    ),
  );
  return [
    `### \`${name}\`\n`,
    head === undefined ? "" : `${wrap(facts(head))}\n`,
    lines.length > 0 ? `${lines.join("\n")}\n` : "",
    ...references.map((line) => `${line}\n`),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

/** `hosts[].address` stands in the section `hosts`, `builder.aws.region` in one of its own. */
function sectionOf(path: string): string {
  const [top = path, second = ""] = path.split(".");
  return top === "builder" && second !== "" ? `${top}.${second}` : top.replace(/\[\]$/, "");
}

function relative(path: string, section: string): string {
  return path.slice(section.length).replace(/^(\[\])?\.(NAME\.)?/, "");
}

/** Variants of an object share keys: each once, required only where every variant that has it says so. */
function unique(keys: readonly DocumentedKey[]): DocumentedKey[] {
  const byPath = new Map<string, DocumentedKey>();
  for (const key of keys) {
    const known = byPath.get(key.path);
    byPath.set(key.path, known === undefined ? key : { ...known, required: known.required && key.required });
  }
  return [...byPath.values()];
}

function bySection(keys: readonly DocumentedKey[], describedIn: Map<unknown, string>): [string, string[]][] {
  const sections = new Map<string, string[]>();
  for (const { identity, path } of keys) {
    const section = describedIn.get(identity) ?? "";
    sections.set(section, [...(sections.get(section) ?? []), path]);
  }
  return [...sections];
}

/** GitHub's anchor of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^a-z0-9 _-]/g, "")
    .replaceAll(" ", "-");
}

/** `(integer, default 22): What it is. Example: …` */
function facts(key: DocumentedKey): string {
  const standing = key.required
    ? ", required"
    : key.default === undefined
      ? ""
      : `, default ${code(key.default)}`;
  const example = key.example === undefined ? "" : ` Example: \`${key.example}\`.`;
  const description = key.description === "" ? "" : `: ${sentence(key.description)}`;
  return `(${key.type}${standing})${description}${example}`;
}

function code(text: string): string {
  return /^[\d.]+$|^["[{]|^(true|false)$|^~\S*$/.test(text) ? `\`${text}\`` : text;
}

function sentence(text: string): string {
  return /[.!?`]$/.test(text) ? text : `${text}.`;
}

/** Breaks text at spaces, never before what Markdown would take for the beginning of a list or a heading. */
export function wrap(text: string, indent = ""): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    const joined = line === "" ? word : `${line} ${word}`;
    if (joined.length > WIDTH && line.trim() !== "" && !/^([-+*#>|]+|\d+[.)])$/.test(word)) {
      lines.push(line);
      line = indent + word;
    } else line = joined;
  }
  return [...lines, line].join("\n");
}
