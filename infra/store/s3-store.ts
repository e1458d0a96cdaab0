import {
  AbortMultipartUploadCommand,
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  type ListMultipartUploadsCommandOutput,
  type PutObjectCommandInput,
} from "@aws-sdk/client-s3";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { parseManifest, type Manifest } from "./manifest.ts";
import { dataDir } from "../../common/paths.ts";
import { parseS3Url, type S3Address } from "./s3-address.ts";
import { explainS3Error } from "./s3-errors.ts";
import type { Store, StoredItem } from "./store.ts";

const manifestName = "manifest.json";

/**
 * A store in a bucket: `artifacts/<key>/manifest.json`, and the files in the folder of the attempt that the manifest names.
 * Credentials come from where every AWS tool looks for them.
 */
export class S3Store implements Store {
  unseen: string | undefined;
  private readonly address: S3Address;
  private readonly bucket: { Bucket: string };
  private readonly client: S3Client;

  constructor(readonly url: string) {
    this.address = parseS3Url(url);
    const { bucket, endpoint, region } = this.address;
    this.bucket = { Bucket: bucket };
    // It speaks of versions to come. The one that package-lock.json pins supports this Node.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
    this.client = new S3Client({
      ...(endpoint !== undefined && { endpoint, forcePathStyle: true, region: region ?? "us-east-1" }),
      ...(region !== undefined && { region }),
      // Manifests are small JSON documents, checked against their schema; files are checked by SHA-256 (Python).
      responseChecksumValidation: "WHEN_REQUIRED",
      requestChecksumCalculation: "WHEN_REQUIRED",
    });
  }

  async manifest(key: string): Promise<Manifest | undefined> {
    const name = this.name(key, manifestName);
    const text = await this.textOf(name);
    return text === undefined ? undefined : parseManifest(text, this.show(name));
  }

  locate(key: string): string {
    return this.show(this.name(key));
  }

  localFolder(key: string): string {
    return join(dataDir(), "cache", "artifacts", key);
  }

  async list(): Promise<StoredItem[]> {
    const prefix = this.name("");
    const keys = new Map<string, Map<string, StoredItem>>();
    for (const { name, bytes, changed } of await this.objects(prefix)) {
      const [key = "", folder = ""] = name.slice(prefix.length).split("/");
      const folders = keys.get(key) ?? new Map<string, StoredItem>();
      const item = folders.get(folder) ?? { kind: "leftovers", key, folder, bytes: 0, changed };
      item.bytes += bytes;
      if (changed > item.changed) item.changed = changed;
      keys.set(key, folders.set(folder, item));
    }
    const items = [...keys].map(async ([key, folders]): Promise<StoredItem[]> => {
      const all = [...folders.values()];
      const manifest = folders.get(manifestName);
      if (manifest === undefined) return all;
      const attempt = await this.attemptOf(key);
      const isOwn = ({ folder }: StoredItem) =>
        folder === manifestName || attempt === undefined || folder === attempt;
      const bytes = all.filter(isOwn).reduce((sum, item) => sum + item.bytes, 0);
      const left = all.filter((item) => !isOwn(item));
      return [{ kind: "artifact", key, bytes, changed: manifest.changed }, ...left];
    });
    return [...(await Promise.all(items)).flat(), ...(await this.openUploads(prefix))];
  }

  async probe(): Promise<string[]> {
    const name = this.below(`probe/${randomUUID()}`);
    const object = { ...this.bucket, Key: name };
    await this.explained("s3:PutObject", name, () =>
      this.client.send(new PutObjectCommand({ ...object, Body: "first" })),
    );
    const checked = await this.write({ ...object, Body: "first", ChecksumAlgorithm: "CRC32" });
    const replaced = await this.write({ ...object, Body: "second", IfNoneMatch: "*" });
    await this.removeObject(name);
    return [
      ...(checked === 200 ? [] : ["knows no checksum headers: parts are sent with their MD5 instead"]),
      ...([409, 412].includes(replaced)
        ? []
        : ["knows no conditional writes: of two runs that make one artifact at once, the last to end wins"]),
    ];
  }

  /** Status of an attempt to write: 200, or what a server answers that does not know a header, or sees its condition unmet. */
  private async write(request: PutObjectCommandInput): Promise<number> {
    try {
      await this.client.send(new PutObjectCommand(request));
      return 200;
    } catch (error) {
      const status = statusOf(error);
      if (status !== undefined && [400, 405, 409, 412, 501].includes(status)) return status;
      throw explainS3Error(error, this.address, "s3:PutObject", this.show(request.Key ?? ""));
    }
  }

  async remove({ kind, key, folder, upload }: StoredItem): Promise<void> {
    if (upload !== undefined) {
      const { name, id } = upload;
      await this.explained("s3:AbortMultipartUpload", name, () =>
        this.client.send(new AbortMultipartUploadCommand({ ...this.bucket, Key: name, UploadId: id })),
      );
    } else if (kind === "artifact") {
      const attempt = await this.attemptOf(key);
      await this.removeObject(this.name(key, manifestName));
      await this.removeAll(attempt === undefined ? this.name(key) : this.name(key, attempt));
    } else if (folder !== undefined) await this.removeAll(this.name(key, folder));
  }

  /** Paths below the prefix, artifacts left out or not, that begin so. */
  async paths(start: string): Promise<string[]> {
    const skipped = this.below("").length;
    return (await this.objects(this.below(start))).map(({ name }) => name.slice(skipped));
  }

  /** Content of a small object by its path below the prefix; undefined when there is none. */
  async text(path: string): Promise<string | undefined> {
    return this.textOf(this.below(path));
  }

  async put(path: string, content: Buffer): Promise<void> {
    await this.explained("s3:PutObject", this.below(path), () =>
      this.client.send(new PutObjectCommand({ ...this.bucket, Key: this.below(path), Body: content })),
    );
  }

  /** Copies an object of at most 5 GB within the bucket, by paths below the prefix. */
  async copy(from: string, to: string): Promise<void> {
    const source = [this.address.bucket, this.below(from)]
      .join("/")
      .split("/")
      .map(encodeURIComponent)
      .join("/");
    await this.explained("s3:PutObject", this.below(to), () =>
      this.client.send(new CopyObjectCommand({ ...this.bucket, CopySource: source, Key: this.below(to) })),
    );
  }

  async drop(path: string): Promise<void> {
    await this.removeObject(this.below(path));
  }

  private async removeAll(folder: string): Promise<void> {
    for (const { name } of await this.objects(`${folder}/`)) await this.removeObject(name);
  }

  private async textOf(name: string): Promise<string | undefined> {
    return this.explained("s3:GetObject", name, async () => {
      try {
        const answer = await this.client.send(new GetObjectCommand({ ...this.bucket, Key: name }));
        return (await answer.Body?.transformToString()) ?? "";
      } catch (error) {
        if ((error as Error).name === "NoSuchKey") return undefined;
        throw error;
      }
    });
  }

  /** The folder that a manifest names; undefined when it is too damaged to name one. */
  private async attemptOf(key: string): Promise<string | undefined> {
    const text = await this.textOf(this.name(key, manifestName));
    try {
      return (JSON.parse(text ?? "") as Partial<Manifest> | null)?.attempt;
    } catch {
      return undefined;
    }
  }

  /** Multipart uploads that nobody completed or gave up: their parts are paid for, and shown nowhere else. */
  private async openUploads(prefix: string): Promise<StoredItem[]> {
    try {
      return await this.listUploads(prefix);
    } catch (error) {
      if (![400, 403, 405, 501].includes(statusOf(error) ?? 0))
        throw explainS3Error(error, this.address, "s3:ListBucketMultipartUploads", this.show(prefix));
      this.unseen =
        "uploads that were not completed: the server does not list them, or not to these credentials";
      return [];
    }
  }

  private async listUploads(prefix: string): Promise<StoredItem[]> {
    const items: StoredItem[] = [];
    let page: ListMultipartUploadsCommandOutput | undefined;
    do {
      const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page ?? {};
      const request = { ...this.bucket, Prefix: prefix, KeyMarker, UploadIdMarker };
      page = await this.client.send(new ListMultipartUploadsCommand(request));
      for (const { Key = "", UploadId = "", Initiated = new Date(0) } of page.Uploads ?? [])
        items.push({
          kind: "leftovers",
          key: Key.slice(prefix.length).split("/")[0] ?? "",
          upload: { name: Key, id: UploadId },
          bytes: 0,
          changed: Initiated,
        });
    } while (page.IsTruncated);
    return items;
  }

  private async objects(prefix: string): Promise<{ name: string; bytes: number; changed: Date }[]> {
    return this.explained("s3:ListBucket", prefix, async () => {
      const objects = [];
      for await (const page of paginateListObjectsV2(
        { client: this.client },
        { ...this.bucket, Prefix: prefix },
      ))
        for (const { Key = "", Size = 0, LastModified = new Date(0) } of page.Contents ?? [])
          objects.push({ name: Key, bytes: Size, changed: LastModified });
      return objects;
    });
  }

  private async removeObject(name: string): Promise<void> {
    await this.explained("s3:DeleteObject", name, () =>
      this.client.send(new DeleteObjectCommand({ ...this.bucket, Key: name })),
    );
  }

  private async explained<Result>(
    action: string,
    name: string,
    work: () => Promise<Result>,
  ): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      throw explainS3Error(error, this.address, action, this.show(name));
    }
  }

  private name(...parts: string[]): string {
    return this.below(["artifacts", ...parts].join("/"));
  }

  private below(path: string): string {
    return this.address.prefix === "" ? path : `${this.address.prefix}/${path}`;
  }

  private show(name: string): string {
    return `s3://${this.address.bucket}/${name}`;
  }
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}
