import { describe, expect, it } from "vitest";
import {
  isDebianLike,
  missingPackages,
  missingPackagesError,
  packagesFor,
  type SystemPackage,
} from "./system-packages.ts";

const packages: SystemPackage[] = [
  { deb: "sh-deb", commands: ["sh"], for: "scripts" },
  { deb: "lacking-deb", commands: ["sh", "no-such-command"], for: "miracles" },
  { deb: "other-deb", commands: ["nor-this-one"], for: "more" },
  { deb: "file-deb", files: ["/no/such/file"], for: "keys" },
];

describe("missing system packages", () => {
  it("are those of which one command is not on PATH or one file is not there", () => {
    expect(missingPackages(packages).map(({ deb }) => deb)).toEqual(["lacking-deb", "other-deb", "file-deb"]);
  });

  it("are named in one error, each with its purpose, and the exact line that installs them all", () => {
    const { message } = missingPackagesError(missingPackages(packages), "this is not Debian");
    expect(message).toContain("system packages: 3 missing, and this is not Debian");
    expect(message).toContain("lacking-deb (sh, no-such-command): miracles");
    expect(message).toContain(
      "sudo apt-get update && sudo apt-get install -y --no-install-recommends lacking-deb other-deb file-deb",
    );
    expect(message).not.toContain("sh-deb");
  });
});

describe("packagesFor", () => {
  const namesFor = (purpose: "run" | "test", osRelease: string): string[] =>
    packagesFor(purpose, osRelease).map(({ deb }) => deb);

  it("adds a browser to the tests, where the distribution has it as a package", () => {
    expect(namesFor("test", "NAME=Debian\nID=debian\n")).toContain("chromium");
    expect(namesFor("test", "ID=ubuntu\nID_LIKE=debian\n")).not.toContain("chromium");
    expect(namesFor("run", "ID=debian\n")).not.toContain("chromium");
    expect(namesFor("run", "ID=debian\n")).toEqual(namesFor("run", "ID=ubuntu\n"));
  });
});

describe("isDebianLike", () => {
  it.each([
    ["ID=debian\nVERSION_ID=12\n", true],
    ['NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n', true],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', true],
    ["ID=fedora\n", false],
    ["", false],
  ])("reads os-release %j as %s", (osRelease, expected) => {
    expect(isDebianLike(osRelease)).toBe(expected);
  });
});
