import { describe, expect, it } from "vitest";

import { LineSplitter } from "./line-splitter.ts";

function split(...chunks: (string | Buffer)[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const chunk of chunks) splitter.write(Buffer.from(chunk));
  splitter.end();
  return lines;
}

describe("lines for the display", () => {
  it("come out whole, however the stream is cut", () => {
    expect(split("on", "e\ntw", "o\n", "three")).toEqual(["one", "two", "three"]);
  });

  it("keep empty lines and lose Windows' carriage returns, as Go's line scanner does", () => {
    expect(split("a\r", "\n\nb\r\n")).toEqual(["a", "", "b"]);
  });

  it("keep characters that a chunk boundary cuts in two", () => {
    const bytes = Buffer.from("né\n");
    expect(split(bytes.subarray(0, 2), bytes.subarray(2))).toEqual(["né"]);
  });

  it("show the states of a progress bar, which never ends its line", () => {
    expect(split("10 %\r20 %\r", "30 %\r")).toEqual(["10 %", "20 %", "30 %"]);
  });

  it("are cut where they would fill the display, without end", () => {
    const lines = split(...Array.from({ length: 40 }, () => "x".repeat(64 * 1024)), "\nnext\n");
    expect(lines.map((line) => line.length)).toEqual([8 * 1024, 4]);
  });
});
