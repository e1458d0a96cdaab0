import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { packTar } from "./tar.ts";

const tar = (archive: Buffer, ...args: string[]) =>
  execFileSync("tar", args, { input: archive, encoding: "utf8" });

describe("packTar", () => {
  it("packs files that tar reads whole, with mode and owner, the empty and the block-sized one too", () => {
    const content = { empty: "", block: "x".repeat(512), text: "höher\n", large: "y".repeat(200_000) };
    const files = Object.entries(content).map(([path, text]) => ({ path, content: text, mode: 0o644 }));
    const archive = packTar([...files, { path: "a/secret", content: "s", mode: 0o600, owner: 1000 }]);
    for (const [path, text] of Object.entries(content)) expect(tar(archive, "-xOf", "-", path)).toBe(text);
    expect(tar(archive, "--numeric-owner", "-tvf", "-")).toMatch(/^-rw------- 1000\/1000 +1 .* a\/secret$/m);
  });

  it("makes the same archive of the same files, whenever and under whatever umask", () => {
    const files = [{ path: "a", content: "x", mode: 0o664 }];
    const before = packTar(files);
    const umask = process.umask(0o077);
    try {
      expect(packTar(files).equals(before)).toBe(true);
    } finally {
      process.umask(umask);
    }
    expect(tar(before, "--utc", "-tvf", "-")).toMatch(/^-rw-rw-r-- .* 1970-01-01 00:00 a$/m);
  });

  it("keeps paths that are longer than a header's field, and refuses absolute ones", () => {
    const path = `folder/${"x".repeat(180)}`;
    expect(tar(packTar([{ path, content: "deep", mode: 0o644 }]), "-xOf", "-", path)).toBe("deep");
    expect(() => packTar([{ path: "/etc/passwd", content: "", mode: 0o644 }])).toThrow(/absolute/);
  });
});
