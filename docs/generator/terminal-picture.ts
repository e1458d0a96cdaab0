import { stripVTControlCharacters } from "node:util";

const LINES = 24;
const COLUMNS = 100;
const LINE_HEIGHT = 18;
/** Advance of a character at 13 px in the common monospace fonts. */
const CHARACTER = 7.85;
const MARGIN = 16;

/** The lines of an `up` about hosts: all that say a resource is done, and as many others, evenly spread, as fit. */
export function rolloutLines(log: string): string[] {
  const lines = stripVTControlCharacters(log)
    .split(/\r?\n/)
    .filter((line) => /pipress:index:(VirtualPi|Playbook|Wave) /.test(line))
    .map((line) => line.replace("pipress:index:", "").trimEnd())
    .filter((line, index, all) => line !== all[index - 1]);
  const progress = lines.filter((line) => !/\b(created|updated|deleted|failed)\b/.test(line));
  const every = Math.ceil(progress.length / Math.max(1, LINES - (lines.length - progress.length)));
  const left = new Set(progress.filter((_, index) => index % every > 0));
  return lines.filter((line) => !left.has(line));
}

/** Text as it looks in a terminal, as an SVG; lines that are too long end in `…`. */
export function terminalPicture(lines: readonly string[], title: string): string {
  const width = Math.round(COLUMNS * CHARACTER + 2 * MARGIN);
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN + LINE_HEIGHT;
  const texts = ["$ ./pipress up", ...lines].map((line, index) => {
    const short = line.length > COLUMNS ? `${line.slice(0, COLUMNS - 1)}…` : line;
    const colours = {
      "#8b949e": /^\$/,
      "#7ee787": /\b(created|updated)\b/,
      "#ff7b72": /failed/,
      "#c9d1d9": /^/,
    };
    const [fill = ""] = Object.entries(colours).find(([, pattern]) => pattern.test(line)) ?? [];
    const y = MARGIN + (index + 1) * LINE_HEIGHT - 4;
    return `<text x="${String(MARGIN)}" y="${String(y)}" fill="${fill}" xml:space="preserve">${escapeXml(short)}</text>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(width)} ${String(height)}" width="${String(width)}"`,
    ` font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="100%" height="100%" rx="8" fill="#0d1117"/>`,
    ...texts,
    `</svg>\n`,
  ].join("\n");
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
