import { readCatalogue } from "../infra/model/catalogue.ts";
import { choices, fitting, formatChoices, usableMemory } from "../infra/prediction/choice.ts";

/** What narrows the list down, and how it is printed. */
interface ModelsOptions {
  /** Of the board, as it is sold, in bytes. */
  memory?: number;
  /** Tokens per second. */
  speed?: number;
  json?: true;
}

/** `./pipress models`: what a Raspberry Pi 4 can run, of the catalogue and of the recipes. */
export function models({ json, memory, speed }: ModelsOptions): Promise<number> {
  const all = choices();
  const shown = fitting(all, { bytes: memory && usableMemory(memory), speed });
  if (json) console.log(JSON.stringify(shown, null, 2));
  else {
    if (shown.length > 0) console.log(`${formatChoices(shown)}\n`);
    const hidden = all.length - shown.length;
    console.log(
      [
        ...(hidden > 0 ? [`${hidden} more need a larger board, or are slower`] : []),
        "a model is served as it comes (pipress:model), a recipe makes one first",
        "(pipress:recipe); memory: of the board; speed: predicted for a Raspberry Pi 4,",
        "a model and not a measurement; first token: of an answer to 500 tokens;",
        "quality: the makers' score, before it was quantized; what embeds answers",
        "/v1/embeddings, and its tokens/s are those that it reads;",
        `catalogue of ${readCatalogue().date}: models/catalogue.yaml`,
      ].join("\n"),
    );
  }
  return Promise.resolve(shown.length > 0 ? 0 : 1);
}
