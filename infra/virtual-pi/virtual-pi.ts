import * as pulumi from "@pulumi/pulumi";

/** Inputs of a virtual Pi. */
export interface VirtualPiArgs {
  /** Host name of the machine, also the name of its folder on this one. */
  name: pulumi.Input<string>;
  /** Guest memory, MiB. */
  memoryMiB: pulumi.Input<number>;
  /** Guest cores; a Pi 4 has four. */
  cpus: pulumi.Input<number>;
  /** Size of the guest's disk, GiB; the file is sparse. */
  diskGiB: pulumi.Input<number>;
  /** Digest of the image that the disk starts from; see `toolchain.json`. */
  imageDigest: pulumi.Input<string>;
  /** Guest ports to reach from this machine, by a name of one's own. @example { http: 8080 } */
  forwards?: pulumi.Input<Record<string, pulumi.Input<number>>>;
}

/**
 * A Raspberry Pi 4 emulated on this machine: QEMU's Cortex-A72 with real systemd and sshd. It goes on running between
 * updates; `refresh` notices when it does not, and `destroy` leaves nothing of it.
 */
export class VirtualPi extends pulumi.CustomResource {
  /** Where its ports are: loopback of this machine. */
  declare readonly address: pulumi.Output<string>;
  declare readonly sshPort: pulumi.Output<number>;
  declare readonly user: pulumi.Output<string>;
  /** Private key that its user accepts, made for this machine alone. */
  declare readonly privateKeyFile: pulumi.Output<string>;
  /** Its public host key, as in known_hosts. */
  declare readonly hostKey: pulumi.Output<string>;
  /** Ports on this machine by the names in `forwards`. */
  declare readonly ports: pulumi.Output<Record<string, number>>;
  declare readonly running: pulumi.Output<boolean>;

  constructor(name: string, args: VirtualPiArgs, options?: pulumi.CustomResourceOptions) {
    const outputs = {
      address: undefined,
      sshPort: undefined,
      user: undefined,
      privateKeyFile: undefined,
      hostKey: undefined,
      ports: undefined,
      running: undefined,
    };
    super("pipress:index:VirtualPi", name, { ...args, forwards: args.forwards ?? {}, ...outputs }, options);
  }
}
