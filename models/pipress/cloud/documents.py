"""Small documents in a bucket by way of boto3, where the operator is and the environment is in place."""

from botocore import exceptions

from pipress.store.s3_client import Bucket, error_code


class BucketDocuments:
    """What a queue needs of a bucket; refusals are StageErrors that say what to do."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def get(self, path: str) -> bytes | None:
        with self.bucket.explained("s3:GetObject", path):
            try:
                return self.bucket.client.get_object(**self.bucket.target(path))["Body"].read()
            except exceptions.ClientError as error:
                if error_code(error) == "NoSuchKey":
                    return None
                raise

    def put(self, path: str, body: bytes, only_if_absent: bool = False) -> bool:
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        with self.bucket.explained("s3:PutObject", path):
            try:
                self.bucket.client.put_object(**self.bucket.target(path), Body=body, **condition)
            except exceptions.ClientError as error:
                taken = error_code(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
                if only_if_absent and taken:
                    return False
                raise
        return True

    def delete(self, path: str) -> None:
        with self.bucket.explained("s3:DeleteObject", path):
            self.bucket.client.delete_object(**self.bucket.target(path))

    def list(self, path: str) -> list[str]:
        address = self.bucket.address
        with self.bucket.explained("s3:ListBucket", path):
            pages = self.bucket.client.get_paginator("list_objects_v2").paginate(
                Bucket=address.bucket, Prefix=address.name(path)
            )
            names = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return [name[len(address.prefix) :].lstrip("/") for name in names]
