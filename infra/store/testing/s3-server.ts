import { existsSync, mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CreateBucketCommand, PutBucketPolicyCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { execa, type ResultPromise } from "execa";
import getPort from "get-port";
import { cacheDir } from "../../../common/paths.ts";
import { s3ServerProgram } from "../../../toolchain/bootstrap/s3-server.ts";

const program = s3ServerProgram(cacheDir());

/** Why tests that need an S3 server cannot run here; undefined when they can. */
export const s3ServerMissing = existsSync(program)
  ? undefined
  : "no S3 server here; `npm run bootstrap -- --test` brings it";

/** Credentials that may do everything, as the AWS tools read them from the environment. */
export const rootCredentials = {
  AWS_ACCESS_KEY_ID: "pipress-root",
  AWS_SECRET_ACCESS_KEY: "pipress-root-secret",
  AWS_EC2_METADATA_DISABLED: "true",
};

/** versitygw, a real S3 server over a folder of its own, on loopback, with one bucket. */
export class TestS3Server {
  readonly bucket = "artifacts";
  readonly client: S3Client;

  private constructor(
    readonly endpoint: string,
    private readonly folder: string,
    private readonly process: ResultPromise<{ reject: false; stdio: "ignore"; cleanup: true }>,
  ) {
    this.client = new S3Client({
      endpoint,
      forcePathStyle: true,
      region: "us-east-1",
      credentials: {
        accessKeyId: rootCredentials.AWS_ACCESS_KEY_ID,
        secretAccessKey: rootCredentials.AWS_SECRET_ACCESS_KEY,
      },
    });
  }

  static async start(): Promise<TestS3Server> {
    const folder = mkdtempSync(join(tmpdir(), "pipress-s3-"));
    const [buckets, users] = [join(folder, "buckets"), join(folder, "users")];
    for (const path of [buckets, users]) mkdirSync(path);
    const port = await getPort({ host: "127.0.0.1" });
    const { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret } = rootCredentials;
    const args = ["--port", `127.0.0.1:${port}`, "--access", access, "--secret", secret, "--iam-dir", users];
    const options = { reject: false, stdio: "ignore", cleanup: true } as const;
    const server = execa(program, [...args, "posix", buckets], options);
    for (let tries = 0; tries < 200 && !(await answers(port)); tries++) await sleep(50);
    const started = new TestS3Server(`http://127.0.0.1:${port}`, folder, server);
    await started.client.send(new CreateBucketCommand({ Bucket: started.bucket }));
    return started;
  }

  /** URL of a store in this server's bucket. */
  url(prefix: string, bucket = this.bucket): string {
    return `s3://${bucket}/${prefix}?endpoint=${this.endpoint}&region=us-east-1`;
  }

  async put(name: string, content: string): Promise<void> {
    await this.client.send(new PutObjectCommand({ Bucket: this.bucket, Key: name, Body: content }));
  }

  /** Makes an account that may do `actions` with the bucket and what is in it, and nothing else; returns its credentials. */
  async addUser(name: string, ...actions: string[]): Promise<typeof rootCredentials> {
    const { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret } = rootCredentials;
    const admin = ["admin", "--endpoint-url", this.endpoint, "--access", access, "--secret", secret];
    const keys = ["--access", name, "--secret", `${name}-secret`, "--role", "user"];
    await execa(program, [...admin, "create-user", ...keys]);
    const arn = `arn:aws:s3:::${this.bucket}`;
    const statement = { Effect: "Allow", Principal: [name], Action: actions, Resource: [arn, `${arn}/*`] };
    const Policy = JSON.stringify({ Statement: [statement] });
    await this.client.send(new PutBucketPolicyCommand({ Bucket: this.bucket, Policy }));
    return { ...rootCredentials, AWS_ACCESS_KEY_ID: name, AWS_SECRET_ACCESS_KEY: `${name}-secret` };
  }

  async stop(): Promise<void> {
    this.process.kill();
    await this.process;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => {
      resolve(false);
    });
  });
}
