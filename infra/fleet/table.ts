import { formatTable } from "../../common/plain-table.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";
import type { HostFigures, ModelFigures, Report } from "./report.ts";

/** The outputs of a fleet stack, as `pulumi stack output --json --show-secrets` prints them. */
export interface FleetOutputs {
  /** For OpenAI clients, with `/v1`; absent in a stack without hosts. */
  baseUrl?: string;
  apiKey?: string;
  /** URL or path of model.gguf. */
  modelPath: string;
  /** URL or path of report.html; open it in a browser. A model that is ready has none. */
  reportUrl?: string;
  report: Report;
}

/** The summary at the end of `npm start`. */
export function formatSummary({ baseUrl, apiKey, modelPath, reportUrl, report }: FleetOutputs): string {
  const hosts = report.hosts.map(hostLines);
  const files = [
    `model     ${modelPath}`,
    ...(reportUrl === undefined ? [] : [`report    ${reportUrl}`]),
  ].join("\n");
  const call = baseUrl && apiKey ? [`base URL  ${baseUrl}`, callExample(baseUrl, apiKey, report)] : [];
  return [stageTable(report), modelTable(report.models), hosts.join("\n"), files, ...call]
    .filter(Boolean)
    .join("\n\n");
}

function hostLines(figures: HostFigures): string {
  const { host, tokensPerSecond, tokensPerSecondBefore: was, loadSeconds, warnings, problem } = figures;
  const { systemPrompts = [], dimensions } = figures;
  const before = was === undefined ? "" : ` (${was.toFixed(1)} before)`;
  const what = dimensions === undefined ? "tokens/s" : `tokens/s read, vectors of ${dimensions} numbers`;
  const speed = tokensPerSecond === undefined ? [] : [`${tokensPerSecond.toFixed(1)} ${what}${before}`];
  const ready = loadSeconds === undefined ? [] : [`ready ${loadSeconds.toFixed(0)} s after start`];
  const restored = systemPrompts.flatMap(({ name, tokens, kld }) =>
    kld === undefined ? [] : [`system prompt ${name} restored (${tokens} tokens, KL divergence ${kld})`],
  );
  const measured = [...speed, ...ready, ...restored].join(", ") || "no figures";
  const notes = [...(problem === undefined ? [] : [problem]), ...warnings];
  return `${host}: ${measured}${notes.map((note) => `\n  note: ${note}`).join("")}`;
}

function modelTable(models: readonly ModelFigures[]): string {
  const base = models[0]?.fileBytes ?? Number.NaN;
  const rows = models.map(({ label, fileBytes, perplexity, perplexityError, kld }) => [
    label,
    formatBytes(fileBytes),
    `${((100 * fileBytes) / base).toFixed(0)} %`,
    perplexity.toFixed(2),
    perplexityError.toFixed(2),
    kld?.toFixed(3) ?? "",
  ]);
  const figures = ["file", "of base", "perplexity", "±", "KL divergence"];
  return formatTable(["model", ...figures], rows, figures);
}

function stageTable({ stages }: Report): string {
  const rows = stages.map(({ name, seconds, key }) => [name, formatDuration(seconds), key.slice(0, 12)]);
  return formatTable(["stage", "took", "key"], rows, ["took"]);
}

function callExample(baseUrl: string, apiKey: string, { hosts }: Report): string {
  const embeds = hosts.some(({ dimensions }) => dimensions !== undefined);
  const [path, body] =
    embeds && hosts.every(({ answer }) => answer === undefined)
      ? ["embeddings", `{"input":"What is the capital of France?"}`]
      : [
          "chat/completions",
          `{"messages":[{"role":"user","content":"What is the capital of France?"}],"max_tokens":32}`,
        ];
  return [
    `curl ${baseUrl}/${path} \\`,
    `  -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' \\`,
    `  -d '${body}'`,
  ].join("\n");
}
