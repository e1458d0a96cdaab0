import { describe, expect, it } from "vitest";
import { hostsOfInventory, parseListing } from "./inventory-map.ts";
import { hostKey } from "../ssh/testing/host-key.ts";

const otherKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";

/** As `ansible-inventory --list` prints it, with the groups' variables merged into each host's. */
function listing(hostvars: Record<string, object>, groups: Record<string, string[]>) {
  const entries = Object.entries(groups).map(([name, hosts]) => [name, { hosts }] as const);
  const all = { children: Object.keys(groups) };
  return parseListing(JSON.stringify({ _meta: { hostvars }, all, ...Object.fromEntries(entries) }));
}

/** known_hosts that knows nobody. */
const knowsNobody = () => Promise.resolve(undefined);

async function problemsOf(
  vars: object,
  groups: Record<string, string[]> = { pis: ["pi-1"] },
): Promise<string[]> {
  const inventory = listing({ "pi-1": vars }, groups);
  const { problems } = await hostsOfInventory(inventory, "hosts.ini", [], knowsNobody);
  return problems.map(({ where, what }) => `${where}: ${what}`);
}

describe("hostsOfInventory", () => {
  it("maps Ansible's own variables and pipress's, and asks known_hosts for the key", async () => {
    const vars = {
      ...{ ansible_host: "10.0.0.7", ansible_port: "2222", ansible_user: "admin" },
      ...{
        ansible_ssh_private_key_file: "~/.ssh/pi",
        pipress_build: "onDevice",
        ansible_become_password: "battery",
        pipress_labels: { ring: 2 },
      },
      pipress_server: { contextLength: 1024 },
    };
    const { hosts, problems } = await hostsOfInventory(
      listing({ "pi-1.local": vars }, { kitchen: ["pi-1.local"] }),
      "hosts.ini",
      [],
      (address, port) => Promise.resolve(address === "10.0.0.7" && port === 2222 ? otherKey : undefined),
    );
    expect(problems).toEqual([]);
    expect(hosts).toEqual([
      {
        where: "hosts.ini: pi-1.local",
        host: {
          ...{ name: "pi-1.local", group: "kitchen", address: "10.0.0.7", port: 2222, user: "admin" },
          ...{ hostKey: otherKey, privateKeyFile: "~/.ssh/pi", build: "onDevice", sudoPassword: "battery" },
          ...{ labels: { ring: "2" }, server: { contextLength: 1024 } },
        },
      },
    ]);
  });

  it("takes the inventory's name as address, and no group where there is none", async () => {
    const { hosts } = await hostsOfInventory(
      listing({ "pi-1": { pipress_host_key: hostKey } }, { ungrouped: ["pi-1"] }),
      "hosts.ini",
      [],
      knowsNobody,
    );
    expect(hosts[0]?.host).toEqual({ name: "pi-1", address: "pi-1", hostKey });
  });

  it("of several groups takes the one that has settings, or asks which", async () => {
    const groups = { pis: ["pi-1"], cellar: ["pi-1"] };
    const { hosts } = await hostsOfInventory(
      listing({ "pi-1": { pipress_host_key: hostKey } }, groups),
      "hosts.ini",
      ["cellar"],
      knowsNobody,
    );
    expect(hosts[0]?.host.group).toBe("cellar");
    expect(await problemsOf({ pipress_host_key: hostKey }, groups)).toEqual([
      "hosts.ini: pi-1.pipress_group: the host is in several groups (pis, cellar)",
    ]);
  });

  it("reports every problem of a host, each by the variable that was written", async () => {
    const problems = await problemsOf({
      ...{
        ansible_port: 70000,
        ansible_connection: "local",
        ansible_password: "x",
        ansible_user: "{{ me }}",
      },
      ...{ ansible_ssh_common_args: "-J gate", pipress_server: { prot: 1 }, pipress_unreachable: "maybe" },
    });
    expect(problems.map((line) => line.replace(/^hosts\.ini: pi-1\./, ""))).toEqual([
      'ansible_connection: is "local"',
      "ansible_password: passwords are not used",
      "ansible_ssh_common_args: arguments of ssh are not taken over",
      "ansible_user: holds a template, which ansible-inventory does not resolve",
      "pipress_host_key: is not set, and known_hosts has no key of pi-1 port 70000",
      "ansible_port: must be a port, 1 to 65535",
      'pipress_unreachable: Invalid option: expected one of "skip"|"fail"',
      'pipress_server.prot: unknown key; did you mean "port"?',
    ]);
  });

  it("says so where a name cannot be a host's, and where there is no host at all", async () => {
    const { problems } = await hostsOfInventory(
      listing({ Pi_1: { pipress_host_key: hostKey } }, { pis: ["Pi_1"] }),
      "hosts.ini",
      [],
      knowsNobody,
    );
    expect(problems[0]?.where).toBe("hosts.ini: Pi_1");
    expect(problems[0]?.what).toMatch(/must be lower-case/);
    expect((await hostsOfInventory(listing({}, {}), "hosts.ini", [], knowsNobody)).problems).toEqual([
      { where: "hosts.ini", what: "the inventory names no host" },
    ]);
  });
});
