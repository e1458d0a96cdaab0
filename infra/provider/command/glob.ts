/**
 * Globs as github.com/gobwas/glob reads them with `/` as separator: `*` and `?` stop at a separator, `**` does not,
 * `[abc]`, `[a-z]`, `[!a]` are classes, `{a,b}` alternatives, `\` takes the next character as it is.
 * @throws Error for a class or alternative that is not closed
 */
export function globToRegExp(glob: string): RegExp {
  let source = "";
  let depth = 0;
  for (let at = 0; at < glob.length; at++) {
    const character = glob.charAt(at);
    if (character === "\\") {
      source += escape(glob.charAt(++at));
    } else if (character === "*") {
      const any = glob.charAt(at + 1) === "*";
      if (any) at++;
      source += any ? ".*" : "[^/]*";
    } else if (character === "?") {
      source += "[^/]";
    } else if (character === "[") {
      const end = glob.indexOf("]", at + 2);
      if (end < 0) throw new Error(`glob ${JSON.stringify(glob)}: '[' without ']'`);
      source += classSource(glob.slice(at + 1, end));
      at = end;
    } else if (character === "{") {
      depth++;
      source += "(?:";
    } else if (character === "}" && depth > 0) {
      depth--;
      source += ")";
    } else if (character === "," && depth > 0) {
      source += "|";
    } else {
      source += escape(character);
    }
  }
  if (depth > 0) throw new Error(`glob ${JSON.stringify(glob)}: '{' without '}'`);
  return new RegExp(`^${source}$`, "su");
}

function classSource(content: string): string {
  const negated = content.startsWith("!");
  const members = content.slice(negated ? 1 : 0).replace(/[\\\]^[]/g, "\\$&");
  return `[${negated ? "^" : ""}${members}]`;
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
