import { describe, expect, it } from "vitest";
import { formatRow, measuredHead, parseRows, usableRows, whyUnusable } from "./measured-rows.ts";
import { measuredRow } from "./testing/rows.ts";

const file = "Pulumi.home.measured.csv";

describe("a row of the file", () => {
  it("is read as it was written", () => {
    expect(parseRows(measuredHead + formatRow(measuredRow), file)).toEqual([measuredRow]);
  });

  it("leaves out what the board does not tell", () => {
    const untold = { celsius: undefined, throttled: undefined, governor: undefined };
    const also = { megahertz: undefined, bootloader: undefined };
    const row = { ...measuredRow, ...untold, ...also };
    expect(formatRow(row)).toMatch(/,,,,,\n$/);
    expect(parseRows(measuredHead + formatRow(row), file)).toEqual([row]);
  });

  it("holds names that would divide cells or lines", () => {
    const [read] = parseRows(measuredHead + formatRow({ ...measuredRow, model: 'a, "b"\nc' }), file);
    expect(read).toEqual({ ...measuredRow, model: "a b c" });
  });

  it("may have its columns in another order, and others beside them", () => {
    const turned = (line: string) => ["note", ...line.trim().split(",")].reverse().join(",");
    const text = `${turned(measuredHead)}\r\n${turned(formatRow(measuredRow))}\r\n\n`;
    expect(parseRows(text, file)).toEqual([measuredRow]);
  });

  it("names every line that is none", () => {
    const broken = [
      formatRow(measuredRow).replace("pi-1", ""),
      formatRow(measuredRow).replace(",0.7,", ",fast,"),
      formatRow(measuredRow).replace("Q4_K=", "Q4_KK="),
      formatRow(measuredRow).replace(/Q6_K=\d+,6/, ",6"),
    ];
    const read = (): unknown => parseRows(measuredHead + broken.join(""), file);
    for (const problem of [
      "line 2: host must be the name of a host — put it right, or remove the line",
      "line 3: tg128 must be a number above 0",
      "line 4: blocks must be weights by type, e.g. Q4_K=84934656 Q6_K=21233664",
      "line 5: output must be weights by type",
    ])
      expect(read).toThrow(`${file} ${problem}`);
  });
});

describe("usableRows", () => {
  const hosts = [{ name: "pi-1", threads: 4 }];

  it("takes the rows of the fleet's hosts, and says nothing of others", () => {
    const other = { ...measuredRow, host: "pi-9" };
    expect(usableRows([measuredRow, other], hosts)).toEqual({ usable: [measuredRow], passedOver: [] });
  });

  it.each([
    [{ throttled: 0x4 }, "the firmware throttled the board (get_throttled 0x4)"],
    [{ board: "Raspberry Pi 5 Model B Rev 1.0" }, "Raspberry Pi 5 Model B Rev 1.0 is no Raspberry Pi 4"],
    [{ board: "" }, "a board without a name is no Raspberry Pi 4"],
    [{ threads: 3 }, "it was measured with 3 threads, and llama-server there has 4"],
  ])("passes over one with %j", (changes, why) => {
    expect(usableRows([{ ...measuredRow, ...changes }], hosts)).toEqual({
      usable: [],
      passedOver: [`pi-1, Llama 3.1 8B Q4_K_M 2026-11-29T12:00:00Z: ${why}`],
    });
  });

  it.each(["Raspberry Pi 400 Rev 1.0", "Raspberry Pi Compute Module 4 Rev 1.1"])(
    "takes a %s as well",
    (board) => {
      expect(whyUnusable({ ...measuredRow, board })).toBeUndefined();
    },
  );
});
