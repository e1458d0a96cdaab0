import { describe, expect, it } from "vitest";

import { commandFailure, quote } from "./messages.ts";

describe("a failed command's message", () => {
  it("quotes the command as Go's %q does", () => {
    expect(quote('a "b"\n\t\\ \x01 ü')).toBe('"a \\"b\\"\\n\\t\\\\ \\x01 ü"');
  });

  it("fits in a gRPC header however long command and output are, and keeps the output's end", () => {
    const message = commandFailure(
      "exit status 1",
      "x".repeat(100_000),
      "ü\n".repeat(500_000) + "the reason",
    );
    expect(encodeURIComponent(message).length).toBeLessThan(48 * 1024);
    expect(message).toMatch(
      /^exit status 1: running "x+… \(98000 characters more\)":\n… \(earlier output left out\)\n/,
    );
    expect(message.endsWith("the reason")).toBe(true);
  });
});
