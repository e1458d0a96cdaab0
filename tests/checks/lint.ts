import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { runLinters } from "./run-linters.ts";

/** `npm run lint`: every linter over the whole clone. */
export async function main(): Promise<number> {
  await bootstrap({ purpose: "lint" });
  const { passed, failed } = await runLinters();
  console.log(`${String(passed)} passed, ${String(failed)} failed`);
  return failed === 0 ? 0 : 1;
}
