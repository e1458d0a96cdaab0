import { UserError } from "../../common/user-error.ts";
import type { Machine } from "../ssh/machine.ts";
import { Session } from "../ssh/session.ts";
import { said } from "./said.ts";

/** What a board says of itself before anything is set up there. */
export interface Board {
  hostname: string;
  /** As the device tree calls it, e.g. `Raspberry Pi 4 Model B Rev 1.4`; empty where there is none. */
  model: string;
  /** That the kernel has. */
  memoryBytes: number;
  /** Whether `sudo` asks the user for a password. */
  asksForPassword: boolean;
  /** Whether the kernel counts the memory of services, which limits on it need. */
  countsMemory: boolean;
}

const script = `
echo "hostname $(hostname)"
echo "model $(tr -d '\\0' 2>/dev/null < /proc/device-tree/model)"
echo "memory $(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
sudo -n true 2>/dev/null && echo "sudo free" || echo "sudo password"
echo "controllers $(cat /sys/fs/cgroup/cgroup.controllers 2>/dev/null)"
`;

/** Signs in and looks; changes nothing. @throws UserError where that is not possible */
export function lookAtBoard(machine: Machine): Promise<Board> {
  return Session.use(machine, async (session) => {
    const ending = await session.run(script, "", { quiet: true });
    if (ending.kind === "lost") throw ending.failure;
    return parseBoard(ending.stdout);
  });
}

/** @param output what the script prints there */
export function parseBoard(output: string): Board {
  const values = said(output);
  return {
    hostname: values.get("hostname") ?? "",
    model: values.get("model") ?? "",
    memoryBytes: Number(values.get("memory") ?? 0) * 1024,
    asksForPassword: values.get("sudo") !== "free",
    countsMemory: (values.get("controllers") ?? "").split(" ").includes("memory"),
  };
}

/** @throws UserError where `sudo` does not take the password there */
export async function trySudoPassword(machine: Machine, password: string): Promise<void> {
  const ending = await Session.use(machine, (session) =>
    session.run("sudo -k -S -p '' true", `${password}\n`, { quiet: true }),
  );
  if (ending.kind === "lost") throw ending.failure;
  if (ending.code !== 0)
    throw new UserError({
      where: machine.name,
      what: `sudo does not take the password for ${machine.user}`,
      remedy: "give the one that this user signs in with there",
    });
}
