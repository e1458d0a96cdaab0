import { expect, test } from "vitest";
import { parseEvent } from "./events.ts";
import { describeTask, PlaybookProgress } from "./progress.ts";
import { redactor } from "./redact.ts";

function play(lines: readonly object[], expectedTasks?: number) {
  let time = 0;
  const progress = new PlaybookProgress("pi-0", expectedTasks, () => time);
  for (const line of lines) {
    const event = parseEvent(JSON.stringify(line));
    if (event === undefined) throw new Error(`no event: ${JSON.stringify(line)}`);
    progress.apply(event);
    time += 4000;
  }
  return progress;
}

const common = { role: "server", task: "activate the release", host: "pi-0" };

test("the status names host, role, task, how far it is and since when", () => {
  const task = { ...common, event: "task" };
  expect(play([task, task, task], 14).status).toBe("pi-0: server · activate the release (3/14, 12 s)");
  expect(play([task]).status).toBe("pi-0: server · activate the release (1, 4 s)");
  expect(play([task, task], 2).status).toBe("pi-0: server · activate the release (2/2, 8 s)");
  expect(play([task, task], 1).status).toBe("pi-0: server · activate the release (2, 8 s)");
  expect(play([]).status).toBe("pi-0: connecting (0 s)");
});

test("changes are told with the module's message, or the file in question", () => {
  const { recap } = play([
    { ...common, event: "changed", msg: "tokens/s below the floor" },
    { ...common, event: "changed", diff: [{ before_header: "/etc/x (content)", after_header: "/etc/x" }] },
    { ...common, event: "changed" },
    { ...common, event: "ok" },
    { ...common, event: "skipped" },
  ]);
  expect(recap).toEqual({
    ok: 1,
    changed: 3,
    skipped: 1,
    failed: 0,
    tasks: 0,
    seconds: 20,
    changedTasks: [
      "server: activate the release — tokens/s below the floor",
      "server: activate the release — /etc/x",
      "server: activate the release",
    ],
  });
});

test("the first failure counts; one that the play ignores does not", () => {
  const progress = play([
    { ...common, event: "failed", msg: "expected", ignored: true },
    { ...common, event: "failed", msg: "the reason" },
    { ...common, event: "failed", msg: "what followed from it" },
  ]);
  expect(progress.failure?.msg).toBe("the reason");
  expect(progress.recap.failed).toBe(2);
});

test("a host that is lost on the way is a failure", () => {
  const { failure, recap } = play([{ ...common, event: "unreachable", msg: "gone" }]);
  expect([failure?.msg, recap.failed]).toEqual(["gone", 1]);
});

test("a play is over when Ansible says so", () => {
  expect(play([{ ...common, event: "ok" }]).isOver).toBe(false);
  expect(play([{ event: "stats" }])).toMatchObject({ isOver: true, results: {} });
});

test("a task is named with its role once, if it has one", () => {
  expect(describeTask({ role: "server", task: "server : start" })).toBe("server · start");
  expect(describeTask({ role: "server", task: "restart server : now" })).toBe("server · restart server : now");
  for (const role of [undefined, null, ""]) expect(describeTask({ role, task: "start" })).toBe("start");
  expect(describeTask({ role: "server", task: null })).toBe("server · task");
});

test("a change names its file, whichever side of the difference has it", () => {
  const changeOf = (diff: unknown) => play([{ ...common, event: "changed", diff }]).recap.changedTasks[0];
  const plain = "server: activate the release";
  expect(changeOf({ after_header: "/etc/x (content) y (content)" })).toBe(`${plain} — /etc/x (content) y`);
  expect(changeOf([{ before_header: "/etc/a", after_header: "/etc/b" }])).toBe(`${plain} — /etc/a`);
  for (const nothing of [null, [], [null], "text", { before_header: 5, after_header: 7 }, {}])
    expect(changeOf(nothing)).toBe(plain);
});

test("what the play reports is kept", () => {
  const customByHost = { "pi-0": { tokensPerSecond: 2 }, "pi-1": { tokensPerSecond: 9 } };
  expect(play([{ event: "stats", hosts: {}, custom: { release: "abc" }, customByHost }]).results).toEqual({
    release: "abc",
    tokensPerSecond: 2,
  });
});

test("lines that are no events are told apart", () => {
  expect(parseEvent("ERROR! no such role")).toBeUndefined();
  expect(parseEvent('{"event": "else"}')).toBeUndefined();
  expect(parseEvent("{broken")).toBeUndefined();
  expect(parseEvent(' {"event": "play"}')).toBeUndefined();
  for (const wrong of [
    ...[{ event: "task", role: 5 }, { event: "ok", host: 5 }, { event: "failed", task: [] }],
    ...[{ event: "failed", msg: 5 }, { event: "failed", ignored: "yes" }],
    ...[{ event: "stats", custom: "x" }, { event: "stats", customByHost: { "pi-0": 5 } }],
  ])
    expect(parseEvent(JSON.stringify(wrong)), JSON.stringify(wrong)).toBeUndefined();
});

test("secrets are taken out wherever they are, short words are not mistaken for them", () => {
  const redact = redactor({ keys: ["sk-123456", "yes"], pem: "-----BEGIN-----\nabcdefgh\n" });
  expect(redact("key sk-123456, line abcdefgh, yes")).toBe("key [secret], line [secret], yes");
});

test("what is no text is no secret, and a line of text is one of its own", () => {
  expect(redactor([null, 123456, true, undefined])("null 123456 true undefined")).toBe("null 123456 true undefined");
  expect(redactor(["abcdefgh\nijklmnop"])("ijklmnop, and abcdefgh")).toBe("[secret], and [secret]");
  expect(redactor(["abcdef", "abcde"])("abcdef abcde")).toBe("[secret] abcde");
});

test("a secret that begins with another leaves no tail, whichever is named first", () => {
  for (const secrets of [["secret-one", "secret-one-and-more"], ["secret-one-and-more", "secret-one"]])
    expect(redactor(secrets)("a secret-one-and-more, a secret-one")).toBe("a [secret], a [secret]");
});

test("secrets are taken out of JSON, where quotes, backslashes and umlauts stand in other letters", () => {
  const secret = 'gr\u00fcn"er\\tee';
  const redact = redactor([secret]);
  expect(redact(JSON.stringify({ msg: secret }))).toBe('{"msg":"[secret]"}');
  const asPythonWrites = '{"msg": "gr\\u00fcn\\"er\\\\tee"}';
  expect(JSON.parse(asPythonWrites)).toEqual({ msg: secret });
  expect(redact(asPythonWrites)).toBe('{"msg": "[secret]"}');
});
