import { buildImage, imageDir, isReady } from "./toolchain/virtual-pi-image/index.ts";
const cacheDir = "/tmp/slim-cache";
console.error(imageDir(cacheDir), isReady(cacheDir));
const c = new AbortController();
if (process.argv[2]) setTimeout(() => c.abort(), Number(process.argv[2]));
await buildImage({ cacheDir, progress: (l) => console.error(l), signal: c.signal }).catch((e) => { console.error("ERR", e.message); process.exitCode = 1; });
console.error(isReady(cacheDir));
