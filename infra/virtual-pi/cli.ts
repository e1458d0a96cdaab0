// A virtual Pi by hand, for development: npx tsx infra/virtual-pi/cli.ts up|down NAME
import { isReady, imageDigest } from "../../toolchain/virtual-pi-image/index.ts";
import { UserError } from "../../common/user-error.ts";
import { cacheDir } from "../../common/paths.ts";
import { VirtualPiMachine } from "./machine.ts";
import { read } from "./resource.ts";

const [verb, name = ""] = process.argv.slice(2);
const print = (message: string) => {
  console.error(`${name}: ${message}`);
};
try {
  const machine = new VirtualPiMachine(name);
  if (verb === "up" && name !== "") {
    if (!isReady(cacheDir())) throw new UserError({ where: name, what: "the image is not built yet" });
    const size = { memoryMiB: 1024, cpus: 4, diskGiB: 8 };
    const spec = { name, ...size, imageDigest: imageDigest(), forwards: { http: 8080 } };
    await ((await machine.read()) ? machine.start(print) : machine.create(spec, print));
    console.log(JSON.stringify(await read(name), null, 2));
  } else if (verb === "down" && name !== "") await machine.destroy();
  else throw new UserError({ where: "cli.ts", what: "usage: cli.ts up|down NAME" });
} catch (error) {
  console.error(error instanceof UserError ? error.message : error);
  process.exitCode = 1;
}
