import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
  type ListMultipartUploadsCommandOutput,
} from "@aws-sdk/client-s3";
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
  private readonly address: S3Address;
  private readonly client: S3Client;

  constructor(readonly url: string) {
    this.address = parseS3Url(url);
    const { endpoint, region } = this.address;
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
    const text = await this.manifestText(key);
    return text === undefined ? undefined : parseManifest(text, this.show(this.name(key, manifestName)));
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
      folders.set(folder, {
        ...item,
        bytes: item.bytes + bytes,
        changed: changed > item.changed ? changed : item.changed,
      });
      keys.set(key, folders);
    }
    const items = [...keys].map(async ([key, folders]): Promise<StoredItem[]> => {
      const manifest = folders.get(manifestName);
      if (manifest === undefined) return [...folders.values()];
      const attempt = await this.attemptOf(key);
      const isOwn = (folder?: string) =>
        folder === manifestName || attempt === undefined || folder === attempt;
      const all = [...folders.values()];
      const bytes = all.reduce((sum, item) => sum + (isOwn(item.folder) ? item.bytes : 0), 0);
      const left = all.filter(({ folder }) => !isOwn(folder));
      return [{ kind: "artifact", key, bytes, changed: manifest.changed }, ...left];
    });
    return [...(await Promise.all(items)).flat(), ...(await this.openUploads(prefix))];
  }

  async remove(item: StoredItem): Promise<void> {
    const { kind, key, folder, upload } = item;
    if (upload !== undefined) {
      await this.explained("s3:AbortMultipartUpload", upload.name, () =>
        this.client.send(
          new AbortMultipartUploadCommand({ ...this.bucket, Key: upload.name, UploadId: upload.id }),
        ),
      );
      return;
    }
    if (kind === "artifact") {
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

  async drop(path: string): Promise<void> {
    await this.removeObject(this.below(path));
  }

  private async removeAll(folder: string): Promise<void> {
    for (const { name } of await this.objects(`${folder}/`)) await this.removeObject(name);
  }

  private manifestText(key: string): Promise<string | undefined> {
    return this.textOf(this.name(key, manifestName));
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
    try {
      return (JSON.parse((await this.manifestText(key)) ?? "") as Partial<Manifest>).attempt;
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** Multipart uploads that nobody completed or gave up: their parts are paid for, and shown nowhere else. */
  private async openUploads(prefix: string): Promise<StoredItem[]> {
    return this.explained("s3:ListBucketMultipartUploads", prefix, async () => {
      const items: StoredItem[] = [];
      let next: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } | undefined = {};
      while (next !== undefined) {
        const page: ListMultipartUploadsCommandOutput = await this.client.send(
          new ListMultipartUploadsCommand({ ...this.bucket, Prefix: prefix, ...next }),
        );
        for (const { Key = "", UploadId = "", Initiated = new Date(0) } of page.Uploads ?? [])
          items.push({
            kind: "leftovers",
            key: Key.slice(prefix.length).split("/")[0] ?? "",
            upload: { name: Key, id: UploadId },
            bytes: 0,
            changed: Initiated,
          });
        const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
        next = IsTruncated === true ? { KeyMarker, UploadIdMarker } : undefined;
      }
      return items;
    });
  }

  private async objects(prefix: string): Promise<{ name: string; bytes: number; changed: Date }[]> {
    return this.explained("s3:ListBucket", prefix, async () => {
      const objects = [];
      for await (const page of paginateListObjectsV2(this.paged, { ...this.bucket, Prefix: prefix }))
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

  private readonly name = (...parts: string[]): string =>
    [this.address.prefix, "artifacts", ...parts].filter((part, index) => index > 0 || part !== "").join("/");

  private below(path: string): string {
    return this.address.prefix === "" ? path : `${this.address.prefix}/${path}`;
  }

  private show(name: string): string {
    return `s3://${this.address.bucket}/${name}`;
  }

  private get bucket() {
    return { Bucket: this.address.bucket };
  }

  private get paged() {
    return { client: this.client };
  }
}
