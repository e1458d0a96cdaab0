import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe as group, expect, test } from "vitest";
import {
  configureCommand,
  describe,
  downloadCommand,
  imageDigest,
  imageDir,
  isReady,
  runStep,
} from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "virtual-pi-"));
const temporary = () => mkdtempSync(join(scratch, "test-"));
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

const step = (argv: string[], signal = new AbortController().signal) =>
  runStep({ cacheDir: scratch, progress: () => undefined, signal }, temporary(), "assemble", argv);

group("the image", () => {
  test("is named by what it is made from, the same each time", () => {
    expect(imageDigest()).toMatch(/^[0-9a-f]{64}$/);
    expect(imageDigest()).toBe(imageDigest("trixie"));
    expect(imageDigest("bookworm")).not.toBe(imageDigest());
  });

  test("is ready when its folder is there", () => {
    const cache = temporary();
    expect(isReady(cache)).toBe(false);
    mkdirSync(imageDir(cache), { recursive: true });
    writeFileSync(join(imageDir(cache), "base.qcow2"), "");
    expect(isReady(cache)).toBe(true);
  });

  test("is made of one suite, named once, for both architectures", () => {
    const suite = configureCommand("/work").at(-2);
    expect(downloadCommand("/work").at(-2)).toBe(suite);
    expect(configureCommand("/work", "bookworm").at(-2)).toBe("bookworm");
    expect(downloadCommand("/work", "bookworm").at(-2)).toBe("bookworm");
    expect(downloadCommand("/work")).toContain("--architectures=arm64");
  });
});

group("root", () => {
  test("is asked of sudo for configuring, and for nothing else", () => {
    expect(configureCommand("/work", "trixie", false).slice(0, 3)).toEqual([
      "sudo",
      "--non-interactive",
      "mmdebstrap",
    ]);
    expect(configureCommand("/work", "trixie", true)[0]).toBe("mmdebstrap");
    expect(downloadCommand("/work")[0]).toBe("fakeroot");
  });

  test("that sudo does not give is asked of the user", async () => {
    await expect(step(["sh", "-c", "echo sudo: a password is required; exit 1"])).rejects.toThrow(
      /run `sudo -v`/,
    );
  });
});

group("progress", () => {
  test.each([
    ["progress 14 161", "package 14 of 161"],
    ["Setting up libc6:arm64 (2.41-12) ...", "setting up libc6"],
    ["I: running apt-get update...", "running apt-get update"],
    ["filling the file system", "filling the file system"],
  ])("%j says %j", (line, description) => {
    expect(describe(line)).toBe(description);
  });

  test("other lines say nothing", () => {
    expect(describe("update-alternatives: using /usr/bin/mawk")).toBeUndefined();
  });
});

group("a build step", () => {
  test("that fails says which step, the end of its output and where the log is", async () => {
    await expect(step(["sh", "-c", "echo no space left; exit 1"])).rejects.toThrow(
      /virtual Pi image \/ assemble: sh failed \(exit 1\)\n {2}no space left — .*assemble\.log/s,
    );
  });

  test("whose program is missing names the program", async () => {
    await expect(step(["no-such-program"])).rejects.toThrow(/no-such-program is not installed/);
  });

  test("that cannot reach the package mirror says so", async () => {
    await expect(step(["sh", "-c", "echo 'E: Failed to fetch x'; exit 100"])).rejects.toThrow(
      /check the network/,
    );
  });

  test("ends with its children when it is cancelled", async () => {
    const cancel = new AbortController();
    const running = step(["sh", "-c", "sleep 60"], cancel.signal);
    setTimeout(() => {
      cancel.abort();
    }, 200);
    await expect(running).rejects.toThrow(/abort/i);
  });
});
