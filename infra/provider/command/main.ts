/**
 * The provider's process. The engine starts it with its own address as the last argument and reads the port to call from
 * the first line of standard output, where nothing else may ever be written.
 */
import { connect } from "node:net";

import { engineSender } from "./engine-log.ts";
import { serve } from "./server.ts";

const engineAddress = process.argv
  .slice(2)
  .filter((argument) => !argument.startsWith("-"))
  .at(-1);
const engineProcess = process.ppid;

const provider = await serve(engineSender(engineAddress));
process.stdout.write(`${provider.port}\n`);

let stopping = false;
/** Ends what still runs, then the process. */
async function shutDown(): Promise<void> {
  if (stopping) return;
  stopping = true;
  await provider.operations.cancelAll();
  provider.stop();
  process.exit(0);
}

// The engine closes its plugins with SIGINT, and kills them five seconds later.
process.on("SIGINT", () => void shutDown());
process.on("SIGTERM", () => void shutDown());

// A killed engine closes nothing. Whoever inherits this process is not the engine; and where that happened before the
// first look, nobody listens at the engine's address any more.
setInterval(() => {
  if (process.ppid !== engineProcess) void shutDown();
}, 1000).unref();
setInterval(() => {
  if (engineAddress) void isRefused(engineAddress).then((refused) => (refused ? shutDown() : undefined));
}, 5000).unref();

function isRefused(address: string): Promise<boolean> {
  const [host, port] = address.split(/:(?=\d+$)/);
  return new Promise((resolve) => {
    const socket = connect(Number(port), host, () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      resolve(code === "ECONNREFUSED");
    });
  });
}
