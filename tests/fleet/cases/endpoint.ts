import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { runOnHost, type HostRun } from "../../../infra/fleet/rollout/playbook-resource.ts";
import { ask, names, type Fleet } from "../fleet.ts";

/** Everything that may run on a host, with a load balancer in front. */
const everything = {
  rollout: { peerToPeer: true },
  config: { monitoring: true, endpoint: { host: "pi-0", port: 8000 } },
};

/** The fleet behind its one address, and every role on its hosts. */
export function endpoint(fleet: Fleet): void {
  /** Asks through the endpoint. */
  async function client(): Promise<() => Promise<string>> {
    const { baseUrl, apiKey } = await fleet.outputs();
    return () => ask(baseUrl, apiKey);
  }

  describe("one address for the fleet", () => {
    it("is put in front of it, with the packages that this takes", async () => {
      fleet.configure(everything);
      await fleet.expectConverges();
      await expect.poll(await client(), { timeout: 120_000, interval: 2_000 }).toBe("answers");
    });

    it("loses no request while a rollout goes over all hosts", async () => {
      const once = await client();
      fleet.wantOtherSettings(everything);
      const up = fleet.startUp();
      const answers = await askSteadily(once, up.ended);
      const { exitCode, output } = await up.ended;
      expect(exitCode, output).toBe(0);
      console.log(`${answers.length} requests during the rollout`);
      expect(answers.length).toBeGreaterThan(20);
      expect(answers.filter((answer) => answer !== "answers")).toEqual([]);
      const { report } = await fleet.outputs();
      expect(await fleet.expectAllServe()).toEqual(names.map(() => report.release));
    });

    it("leaves every role with nothing to do: converge, check, converge, check", async () => {
      fleet.configure(everything);
      await fleet.expectConverges();
      const runs = (await fleet.playbooks()).filter(({ host }) => host.name === "pi-0");
      expect(runs.map(({ playbook }) => playbook).sort()).toEqual([
        "ansible/endpoint.yml",
        "ansible/site.yml",
        "ansible/stage.yml",
      ]);
      for (const run of runs)
        for (const check of [true, false, true])
          expect(await changesOf({ ...run, check }), `${run.playbook}, check: ${check}`).toEqual([]);
    });
  });
}

/** What a run of a playbook changes, or would. */
async function changesOf(run: HostRun): Promise<string[]> {
  const messages: string[] = [];
  const record = (message: string): void => void messages.push(message);
  const log = { status: record, info: record, warn: record };
  const { recap } = await runOnHost(run, log, new AbortController().signal);
  expect(recap.ok, messages.join("\n")).toBeGreaterThan(0);
  return recap.changedTasks;
}

/** Two clients that ask again as soon as they have an answer, while something goes on. */
async function askSteadily(once: () => Promise<string>, meanwhile: Promise<unknown>): Promise<string[]> {
  let over = false;
  void meanwhile.then(() => (over = true));
  const answers: string[] = [];
  const client = async (): Promise<void> => {
    while (!over) {
      answers.push(await once());
      await sleep(500);
    }
  };
  await Promise.all([client(), client()]);
  return answers;
}
