import { packTar } from "../../common/tar.ts";

export interface Seed {
  /** Host name. */
  name: string;
  /** 32 hex digits. */
  machineId: string;
  /** The machine's host key pair, as ssh-keygen writes them. */
  hostPrivateKey: string;
  hostPublicKey: string;
  /** Public key that may log in as `pi`. */
  authorizedKey: string;
}

/** User and group of `pi` in the image. */
const pi = 1000;

/** What makes one virtual Pi differ from another: a tar that its initramfs unpacks onto the root disk once. */
export function buildSeed(seed: Seed): Buffer {
  return packTar([
    { path: "etc/hostname", content: `${seed.name}\n`, mode: 0o644 },
    { path: "etc/hosts", content: `127.0.0.1 localhost\n127.0.1.1 ${seed.name}\n`, mode: 0o644 },
    { path: "etc/machine-id", content: `${seed.machineId}\n`, mode: 0o444 },
    { path: "etc/ssh/ssh_host_ed25519_key", content: seed.hostPrivateKey, mode: 0o600 },
    { path: "etc/ssh/ssh_host_ed25519_key.pub", content: seed.hostPublicKey, mode: 0o644 },
    { path: "home/pi/.ssh/authorized_keys", content: seed.authorizedKey, mode: 0o600, owner: pi },
  ]);
}
