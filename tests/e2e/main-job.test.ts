import { afterAll, beforeAll } from "vitest";
import { changes } from "./cases/changes.ts";
import { configuration } from "./cases/configuration.ts";
import { destruction } from "./cases/destruction.ts";
import { drift } from "./cases/drift.ts";
import { failures } from "./cases/failures.ts";
import { interruption } from "./cases/interruption.ts";
import { service } from "./cases/service.ts";
import { config, quick } from "./scenario.ts";
import { Workspace } from "./workspace.ts";

/**
 * The life of one stack, in the order in which a user would live it: each case finds what the one before left, because
 * compressing a model anew for each would take hours.
 */
const workspace = new Workspace();

beforeAll(async () => {
  workspace.recipe(quick);
  workspace.configure(config(workspace));
  await workspace.init();
});

afterAll(async () => {
  await workspace.cancel();
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
});

configuration(workspace);
interruption(workspace);
service(workspace);
changes(workspace);
drift(workspace);
failures(workspace);
destruction(workspace);
