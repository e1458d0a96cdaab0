// npx tsx toolchain/virtual-pi-image/build.ts: builds the image into the cache and prints where it is.
import { cacheDir } from "../../common/paths.ts";
import { ensureVirtualPiImage } from "./index.ts";

const image = await ensureVirtualPiImage({ cacheDir: cacheDir(), progress: (line) => console.error(line) });
console.log(JSON.stringify(image));
