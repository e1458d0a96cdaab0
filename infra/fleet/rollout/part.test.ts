import { expect, test } from "vitest";
import { exceptPart, partOfFleet } from "./part.ts";

const urn = (types: string, name: string) => `urn:pulumi:home::pipress::${types}::${name}`;
const inRollout = (type: string, name: string) => urn(`pipress:rollout:Rollout$pipress:index:${type}`, name);

/** What is left alone when `pi-1` is worked on, which serves the model of the group `small`. */
function leftAlone(...urns: string[]): string[] {
  const part = { hosts: ["pi-1"], stages: ["small-fetch"], prefixes: ["small-"] };
  const options = exceptPart(urns, part);
  expect(options.filter((_, index) => index % 2 === 0)).toEqual(
    options.slice(options.length / 2).map(() => "--exclude"),
  );
  return options.filter((_, index) => index % 2 === 1);
}

test("the part's hosts, stages, rollout and waves are worked on", () => {
  const own = [
    ...["pi-1", "pi-1-staged"].map((name) => inRollout("Playbook", name)),
    urn("pipress:index:VirtualPi", "pi-1"),
    urn("pipress:stage:Stage", "small-fetch"),
    urn("pipress:stage:Stage$command:local:Command", "small-fetch"),
    urn("pipress:rollout:Rollout", "small-fleet"),
    ...["small-part-wave-1", "small-part-staged"].map((name) => inRollout("Wave", name)),
  ];
  expect(leftAlone(...own)).toEqual([]);
});

test("other hosts, other models, the balancer and the fleet's own waves are left alone", () => {
  const others = [
    ...["pi-2", "pi-2-staged", "pi-10", "endpoint"].map((name) => inRollout("Playbook", name)),
    urn("pipress:index:VirtualPi", "pi-2"),
    urn("pipress:stage:Stage", "fetch"),
    urn("pipress:stage:Stage$command:local:Command", "fetch"),
    urn("pipress:rollout:Rollout", "fleet"),
    ...["small-wave-1", "small-staged", "wave-1", "part-wave-1"].map((name) => inRollout("Wave", name)),
  ];
  expect(leftAlone(...others)).toEqual(others);
});

test("what belongs to the whole stack is worked on", () => {
  const shared = [
    urn("pulumi:pulumi:Stack", "pipress-home"),
    urn("pulumi:providers:pipress", "default"),
    urn("pipress:index:Secret", "api-key"),
    urn("pipress:index:Preflight", "preflight"),
    urn("pipress:aws:Network$aws:ec2/vpc:Vpc", "network"),
  ];
  expect(leftAlone(...shared)).toEqual([]);
});

test("a run is for the hosts that its environment names, or for all", () => {
  expect(partOfFleet({})).toBeUndefined();
  expect(partOfFleet({ PIPRESS_HOSTS: '["pi-1"]' })).toEqual(new Set(["pi-1"]));
});
