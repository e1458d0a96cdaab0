import type { Problem } from "../../common/user-error.ts";
import type { Recipe } from "./recipe.generated.ts";

/** What the schema cannot say of a recipe's conversations, because it takes two sections to see it. */
export function chatProblems({ chats, datasets }: Recipe, file: string): Problem[] {
  const isChat = ({ format }: { format: string }) => format === "chat";
  if (chats.share > 0 || ![...datasets.calibration, ...datasets.evaluation].some(isChat)) return [];
  return [
    {
      where: `${file}: chats.share`,
      what: "is 0, and the conversations of `datasets` would not be read",
      remedy: "leave it out, or take another value",
    },
  ];
}
