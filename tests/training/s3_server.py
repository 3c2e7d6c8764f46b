"""A real S3 server over HTTP, moto's, that checks who asks: users with keys and policies of their own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

BUCKET = "sweeps"
READS = ["s3:Get*", "s3:List*"]


class S3Server:
    """One bucket; its own administrator's keys are in `credentials`, as AWS's tools read them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endpoint = f"http://127.0.0.1:{_free_port()}"
        self.credentials = folder / "credentials"
        self._process = self._start()
        try:
            self._set_up()
        except BaseException:
            self.stop()
            raise
        self.objects = self._client("s3")

    def environment(self, credentials: Path | None = None) -> dict[str, str]:
        """What AWS's tools, and hpsearch, find the server by."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials or self.credentials),
            "AWS_CONFIG_FILE": str(self.folder / "none"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def user(self, name: str, actions: list[str]) -> Path:
        """The credentials file of a new user who may do these actions alone."""
        iam = self._client("iam")
        iam.create_user(UserName=name)
        statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        iam.put_user_policy(UserName=name, PolicyName="may", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return self.keys(name, key["AccessKeyId"], key["SecretAccessKey"])

    def keys(self, name: str, key: str, secret: str) -> Path:
        """A credentials file with these keys."""
        file = self.folder / f"{name}-credentials"
        file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        return file

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        port = self.endpoint.rpartition(":")[2]
        with (self.folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", port], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", int(port)), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "server.log").read_text()
                time.sleep(0.05)
            else:
                return process

    def _set_up(self) -> None:
        """An administrator and the bucket; from then on all must say who they are."""
        self.user("admin", ["*"]).replace(self.credentials)
        self._client("s3").create_bucket(Bucket=BUCKET)
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def _client(self, service: str) -> Any:
        key, secret = self._own_keys()
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}),
        )

    def _own_keys(self) -> list[str]:
        if not self.credentials.exists():
            return ["any", "any"]
        return [line.partition(" = ")[2] for line in self.credentials.read_text().splitlines()[1:]]


class InBucket:
    """A prefix of its own in the bucket, seen by another client than hpsearch's."""

    def __init__(self, server: S3Server) -> None:
        self._objects = server.objects
        self._prefix = f"test-{uuid.uuid4().hex}"
        self.location = f"s3://{BUCKET}/{self._prefix}"

    def paths(self) -> set[str]:
        """Below the prefix."""
        listed = self._objects.list_objects_v2(Bucket=BUCKET, Prefix=f"{self._prefix}/").get("Contents", [])
        return {each["Key"].removeprefix(f"{self._prefix}/") for each in listed}

    def files(self) -> dict[str, bytes]:
        return {path: self._objects.get_object(Bucket=BUCKET, Key=f"{self._prefix}/{path}")["Body"].read() for path in self.paths()}

    def put(self, path: str, data: bytes) -> None:
        self._objects.put_object(Bucket=BUCKET, Key=f"{self._prefix}/{path}", Body=data)

    def delete(self, path: str) -> None:
        self._objects.delete_object(Bucket=BUCKET, Key=f"{self._prefix}/{path}")


class OnDisk:
    """A folder, seen by pathlib."""

    def __init__(self, folder: Path) -> None:
        self.location = folder

    def paths(self) -> set[str]:
        return {str(path.relative_to(self.location)) for path in self.location.rglob("*") if not path.is_dir()}

    def files(self) -> dict[str, bytes]:
        return {path: (self.location / path).read_bytes() for path in self.paths()}

    def put(self, path: str, data: bytes) -> None:
        file = self.location / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def delete(self, path: str) -> None:
        (self.location / path).unlink()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
