import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { commandLineFile, password, shippedCommandLine, ShippedPi } from "./shipped-pi.ts";

/** What pipress has tried. */
const note = "/var/lib/pipress/memory-cgroup.json";

describe.each(["trixie", "bookworm"] as const)("a Pi as shipped, %s", (suite) => {
  const pi = new ShippedPi(suite);
  const { workspace } = pi;
  beforeAll(() => pi.begin());
  afterAll(() => pi.end());

  it("runs the systemd of its suite", async () => {
    const version = suite === "trixie" ? "257" : "252";
    expect(await pi.onHost("systemctl --version")).toContain(`systemd ${version}`);
  });

  it("does not take a wrong password at sudo, which is told as that", async () => {
    pi.configure({}, "nicht das Passwort");
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expect(output).toContain("sudo does not take the password that it was given");
    expect(output).not.toContain("nicht das Passwort");
  });

  it("serves without memory accounting, with a warning", () => pi.expectServesFromTheBox());

  it("gets its file back where the kernel did not take the word, without another reboot", async () => {
    // What a preparation leaves whose reboot came up without memory accounting.
    await pi.onHost(`
      cp ${commandLineFile} ${commandLineFile}.before-pipress
      sed -i "s/$/ cgroup_enable=memory/" ${commandLineFile}
      echo "{\\"boot\\": \\"an earlier one\\", \\"file\\": \\"${commandLineFile}\\"}" > ${note}`);
    pi.configure({ prepareHosts: true }, password);
    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    expect(JSON.stringify(await workspace.exported())).toContain(
      "came up without memory accounting all the same",
    );
    expect(await pi.onHost(`cat ${commandLineFile}`)).toBe(shippedCommandLine);
    expect(pi.starts).toBe(1);
    await pi.onHost(`rm ${note}`);
  });

  it("is prepared by one reboot, which a refresh announces", async () => {
    const refresh = await workspace.pulumi("refresh", "--yes", "--skip-preview");
    expect(refresh.exitCode, refresh.output).toBe(0);
    expect(JSON.stringify(await workspace.exported())).toContain(
      `cgroup_enable=memory in ${commandLineFile}, then a reboot`,
    );
    expect(pi.starts).toBe(1);

    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    expect(pi.starts).toBe(2);
    expect(await pi.countsMemory()).toBe(true);
    expect(await pi.onHost(`cat ${commandLineFile}`)).toBe(`${shippedCommandLine} cgroup_enable=memory`);
    expect(await pi.onHost(`cat ${commandLineFile}.before-pipress`)).toBe(shippedCommandLine);
    await pi.expectAnswer();
  });

  it("is not rebooted again, and nothing is left to do", async () => {
    const { exitCode, output } = await workspace.up("--refresh");
    expect(exitCode, output).toBe(0);
    expect(await workspace.preview()).toEqual([]);
    expect(pi.starts).toBe(2);
  });
});
