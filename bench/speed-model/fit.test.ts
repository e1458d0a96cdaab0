import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { fittedBoard } from "../../infra/prediction/board.generated.ts";
import { generationSpeed, generationWork, promptSpeed, promptWork } from "../../infra/prediction/speed.ts";
import { multipliedWeights } from "../../infra/prediction/weights.ts";
import { fitBoard, fitGeneration, generationErrors, leastSquares, promptErrors } from "./fit.ts";
import { boardFile, otherBoardsFile, readMeasuredRows } from "./rows.ts";

const rows = readMeasuredRows(boardFile);

describe("the fitted board", () => {
  it("is within 6 % of what was measured of generation, and within 15 % of prompts", () => {
    const generation = generationErrors(rows, fittedBoard.generation);
    expect(generation.rms).toBeLessThan(0.06);
    expect(generation.worst).toBeLessThan(0.16);
    expect(promptErrors(rows, fittedBoard.prompt).rms).toBeLessThan(0.15);
  });

  it("is within 16 % of what others report of an 8B and a 7B", () => {
    expect(generationErrors(readMeasuredRows(otherBoardsFile), fittedBoard.generation).worst).toBeLessThan(
      0.16,
    );
  });

  it.each(["llama3.2-1b", "qwen3-0.6b"])(
    "would be within 16 % of %s, had it never seen it",
    { timeout: 30_000 },
    (model) => {
      const others = fitGeneration(rows.filter((row) => row.model !== model));
      const own = rows.filter((row) => row.model === model);
      expect(generationErrors(own, others).worst).toBeLessThan(0.16);
    },
  );
});

describe("fitBoard", () => {
  it("finds the board by which rows were made", { timeout: 30_000 }, () => {
    const made = {
      generation: { bytesPerSecond: 4.2e9, cycleFactor: 1.3, secondsPerLayer: 1e-3 },
      prompt: { cycleFactor: 1.1, cyclesPerWeight: 0.1, cyclesPerPlainWeight: 0.9, cyclesPerAttention: 2 },
    };
    const quantization = (type: (typeof rows)[number]["type"]) => ({ type, imatrix: false });
    const fitted = fitBoard(
      rows.map((row) => ({
        ...row,
        generation: generationSpeed(
          generationWork(multipliedWeights(row.shape, quantization(row.type))),
          made.generation,
        ),
        prompt: promptSpeed(promptWork(multipliedWeights(row.shape, quantization(row.type))), made.prompt),
      })),
    );
    expect(fitted.generation.bytesPerSecond / 4.2e9).toBeCloseTo(1, 2);
    expect(fitted.generation.cycleFactor).toBeCloseTo(1.3, 1);
    for (const [name, value] of Object.entries(made.prompt))
      expect(fitted.prompt[name as keyof typeof made.prompt]).toBeCloseTo(value, 4);
  });
});

describe("leastSquares", () => {
  it("solves for what makes every row one", () => {
    const [a, b] = leastSquares([
      [1, 1],
      [0.5, 2],
      [2, 0],
    ]);
    // Normal equations by hand: 5.25 a + 2 b = 3.5, 2 a + 5 b = 3.
    expect(5.25 * (a ?? 0) + 2 * (b ?? 0)).toBeCloseTo(3.5);
    expect(2 * (a ?? 0) + 5 * (b ?? 0)).toBeCloseTo(3);
  });
});

describe("readMeasuredRows", () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress-rows-"));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const read = (line: string) => {
    const file = join(folder, "rows.csv");
    writeFileSync(file, `type,model,tg128,parameters\n${line}\n`);
    return readMeasuredRows(file);
  };

  it("knows by the parameters whether the file has an output matrix of its own", () => {
    expect(rows.find(({ model }) => model === "qwen3-0.6b")?.shape.tied).toBe(false);
    expect(rows.find(({ model }) => model === "llama3.2-1b")?.shape.tied).toBe(true);
  });

  it.each([
    ["Q4_0,llama9,1,1000", /line 2: .*no shape of "llama9"/],
    ["Q4_0,llama3.2-1b,1,5000", /llama3.2-1b has 5000 parameters here/],
    ["Q9,llama3.2-1b,1,1235814432", /"Q9" is no type/],
    ["Q4_0,llama3.2-1b,,1235814432", /tg128 is no number above 0/],
  ])("refuses %s by its line", (line, message) => {
    expect(() => read(line)).toThrow(message);
  });
});
