import { describe, expect, it } from "vitest";
import { formatTable } from "./plain-table.ts";

const hosts = [
  ["pi-1", "0a1b2c3d4e5f", "2.1", "http://192.168.7.21:8080/v1"],
  ["pi-20", "0a1b2c3d4e5f", "12.4", ""],
];
const head = ["host", "release", "tokens/s", "base URL"];

describe("a table", () => {
  it("has no line that ends in blanks, and knows no width where there is no terminal", () => {
    expect(formatTable(head, hosts, ["tokens/s"], Infinity).split("\n")).toEqual([
      "host   release       tokens/s  base URL",
      "pi-1   0a1b2c3d4e5f       2.1  http://192.168.7.21:8080/v1",
      "pi-20  0a1b2c3d4e5f      12.4",
    ]);
    const [line = ""] = formatTable(["a"], [["x".repeat(300)]])
      .split("\n")
      .slice(1);
    expect(line).toHaveLength(300);
  });

  it("puts columns that a terminal has no room for on a second line, and breaks no word", () => {
    expect(formatTable(head, hosts, ["tokens/s"], 50).split("\n")).toEqual([
      "host   release       tokens/s",
      "  base URL",
      "pi-1   0a1b2c3d4e5f       2.1",
      "  http://192.168.7.21:8080/v1",
      "pi-20  0a1b2c3d4e5f      12.4",
    ]);
  });

  it("wraps prose in the last column, where that has room", () => {
    const found = [
      ["pi-1", "error", "sudo asks for a password, and the stack has none\n→ set pipress:sudoPassword"],
    ];
    const lines = formatTable(["", "", "found"], found, [], 48).split("\n");
    expect(lines).toEqual([
      "             found",
      "pi-1  error  sudo asks for a password, and the",
      "             stack has none",
      "             → set pipress:sudoPassword",
    ]);
    expect(formatTable(["", "", "found"], found, [], 30).split("\n")).toEqual([
      "",
      "  found",
      "pi-1  error",
      "  sudo asks for a password, and the stack has none",
      "  → set pipress:sudoPassword",
    ]);
  });
});
