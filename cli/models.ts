import { readCatalogue } from "../infra/model/catalogue.ts";
import { choices, fitting, formatChoices, type Wanted } from "../infra/prediction/choice.ts";

/** `./pipress models`: what a Raspberry Pi 4 can run, of the catalogue and of the recipes. */
export function models({ json, ...wanted }: Wanted & { json?: true }): Promise<number> {
  const all = choices();
  const shown = fitting(all, wanted);
  if (json) console.log(JSON.stringify(shown, null, 2));
  else {
    if (shown.length > 0) console.log(`${formatChoices(shown)}\n`);
    const hidden = all.length - shown.length;
    console.log(
      [
        ...(hidden > 0 ? [`${hidden} more need a larger board, or are slower`] : []),
        "a model is served as it comes (pipress:model), a recipe makes one first (pipress:recipe)",
        "memory: of the board; speed: predicted for a Raspberry Pi 4, a model and not a measurement;",
        "first token: of an answer to 500 tokens; quality: the makers' score, before it was quantized;",
        `catalogue of ${readCatalogue().date}: models/catalogue.yaml`,
      ].join("\n"),
    );
  }
  return Promise.resolve(shown.length > 0 ? 0 : 1);
}
