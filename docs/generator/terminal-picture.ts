import { stripVTControlCharacters } from "node:util";

const LINES = 24;
const COLUMNS = 100;
const LINE_HEIGHT = 18;
/** Advance of a character at 13 px in the common monospace fonts. */
const CHARACTER = 7.85;
const MARGIN = 16;

/**
 * The lines of an `up` that are about hosts: virtual Pis, playbooks and waves. Of progress lines as many as fit into
 * the picture, evenly spread; every line that says a resource is done stays.
 */
export function rolloutLines(log: string): string[] {
  const about = stripVTControlCharacters(log)
    .split(/\r?\n/)
    .filter((line) => /pipress:index:(VirtualPi|Playbook|Wave) /.test(line))
    .map((line) => line.replace("pipress:index:", "").trimEnd());
  const lines = about.filter((line, index) => line !== about[index - 1]);
  const isDone = (line: string): boolean => /\b(created|updated|deleted|failed)\b/.test(line);
  const progress = lines.filter((line) => !isDone(line));
  const room = Math.max(0, LINES - (lines.length - progress.length));
  const every = progress.length / Math.max(1, Math.min(room, progress.length));
  const kept = new Set(
    Array.from(
      { length: Math.min(room, progress.length) },
      (_, index) => progress[Math.floor(index * every)],
    ),
  );
  return lines.filter((line) => isDone(line) || kept.has(line));
}

/** Text as it looks in a terminal, as an SVG; lines that are too long end in `…`. */
export function terminalPicture(lines: readonly string[], title: string): string {
  const width = Math.round(COLUMNS * CHARACTER + 2 * MARGIN);
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN + LINE_HEIGHT;
  const texts = lines.map((line, index) => {
    const short = line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line;
    const colour = /\b(created|updated)\b/.test(line)
      ? "#7ee787"
      : /failed/.test(line)
        ? "#ff7b72"
        : "#c9d1d9";
    const y = MARGIN + (index + 2) * LINE_HEIGHT - 4;
    return `<text x="${String(MARGIN)}" y="${String(y)}" fill="${colour}" xml:space="preserve">${escapeXml(short)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" width="${String(width)}"`,
    ` font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="100%" height="100%" rx="8" fill="#0d1117"/>`,
    `<text x="${String(MARGIN)}" y="${String(MARGIN + 8)}" fill="#8b949e">$ ./pipress up</text>`,
    ...texts,
    `</svg>`,
    "",
  ].join("\n");
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
