/** Quotes a word for a POSIX shell, which reads it back as it is. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
