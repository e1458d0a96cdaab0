import { checkbox, confirm, input, password, select } from "@inquirer/prompts";
import { UserError } from "../common/user-error.ts";

/** One of several answers. */
export interface Answer {
  name: string;
  value: string;
}

/**
 * Questions at the terminal. Where nobody is there to answer, what has no answer yet is a mistake that names the option which
 * would have given it.
 */
export interface Questions {
  /** Whether somebody answers. */
  isInteractive: boolean;
  text(question: string, option: string): Promise<string>;
  yes(question: string, option: string, fallback?: boolean): Promise<boolean>;
  secret(question: string, option: string): Promise<string>;
  one(question: string, answers: readonly Answer[], fallback: string, option: string): Promise<string>;
  several(question: string, answers: readonly Answer[], option: string): Promise<string[]>;
}

/** Questions go to standard error, so that standard output is what the program says. */
const context = { output: process.stderr };

/** Of somebody at the terminal. */
export const atTerminal: Questions = {
  isInteractive: true,
  text: (message) => input({ message }, context),
  yes: (message, _, fallback = false) => confirm({ message, default: fallback }, context),
  secret: (message) => password({ message }, context),
  one: (message, answers, fallback) => select({ message, choices: [...answers], default: fallback }, context),
  several: (message, answers) =>
    checkbox({ message, choices: answers.map((answer) => ({ ...answer, checked: true })) }, context),
};

/** Of nobody. */
export const unattended: Questions = {
  isInteractive: false,
  text: unanswered,
  yes: unanswered,
  secret: unanswered,
  one: (question, _answers, _fallback, option) => unanswered(question, option),
  several: (question, _answers, option) => unanswered(question, option),
};

function unanswered(question: string, option: string): Promise<never> {
  return Promise.reject(
    new UserError({ where: "init", what: `nobody is there to answer: ${question}`, remedy: option }),
  );
}
