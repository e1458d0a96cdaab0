// What upstream's has, fonts in the page, and no service worker: a browser takes one only over TLS, and it would go on
// showing an old page.
import { defineConfig, mergeConfig } from "vite";
import { SVELTEKIT_PWA_OPTIONS } from "./src/lib/constants/pwa.constants";
import upstream from "./vite.config";

Object.assign(SVELTEKIT_PWA_OPTIONS, { disable: true });

export default defineConfig((env) =>
  mergeConfig(upstream(env), { build: { assetsInlineLimit: Number.MAX_SAFE_INTEGER } }),
);
