"""Where backups are kept: a directory, or a bucket of an S3-compatible server. Blocking."""

import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from scalix.store.journal.journal_file import sync_directory

T = TypeVar("T")
_DRAFT = ".draft-"


class TargetFailed(Exception):
    """The place can't be used. The text says which, and why."""


class Target(Protocol):
    """A place of files that are written as a whole. Everything may raise `TargetFailed`."""

    def draft(self) -> Path:
        """Where a file is written first, on this machine: a path that nothing has."""

    def keep(self, draft: Path, name: str) -> None:
        """Keep the finished draft under a name; the draft is gone then."""

    def fetch(self, name: str) -> Path:
        """A file of this machine with the content; to be given to `done` afterwards."""

    def done(self, fetched: Path) -> None:
        """Let go of what was fetched, or of a draft that was not kept."""

    def sizes(self) -> dict[str, int]:
        """The names that are there, with their sizes in bytes."""

    def remove(self, name: str) -> None:
        """Remove what is kept under a name, if it is there."""


def target_at(to: str, endpoint: str | None, drafts: Path) -> Target:
    """The place that `to` names: a directory or `s3://bucket/prefix`. `drafts` is a directory of this machine's own
    for what is on its way to another one."""
    if not to.startswith("s3://"):
        return DirectoryTarget(Path(to).expanduser())
    bucket, _, prefix = to.removeprefix("s3://").partition("/")
    return S3Target(bucket, prefix.strip("/"), endpoint, drafts)


class DirectoryTarget:
    """Files of a directory, mode 0600. A directory that is missing is made, with mode 0700."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def draft(self) -> Path:
        self._told(lambda: self._directory.mkdir(mode=0o700, parents=True, exist_ok=True))
        return self._directory / f"{_DRAFT}{secrets.token_hex(8)}"

    def keep(self, draft: Path, name: str) -> None:
        def move() -> None:
            draft.replace(self._directory / name)
            sync_directory(self._directory)

        self._told(move)

    def fetch(self, name: str) -> Path:
        path = self._directory / name
        if not path.is_file():
            raise TargetFailed(f"there is no {name} in {self._directory}")
        return path

    def done(self, fetched: Path) -> None:
        if fetched.name.startswith(_DRAFT):
            fetched.unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        def look() -> dict[str, int]:
            if not self._directory.is_dir():
                return {}
            return {path.name: path.stat().st_size for path in self._directory.iterdir() if path.is_file()}

        return self._told(look)

    def remove(self, name: str) -> None:
        self._told(lambda: (self._directory / name).unlink(missing_ok=True))

    def _told(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except OSError as error:
            raise TargetFailed(f"{self._directory} can't be used: {(error.strerror or 'failed').lower()}") from None


class S3Target:
    """Objects under a prefix of a bucket. Credentials and region come from where boto3 looks for them."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None, drafts: Path) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint
        self._drafts = drafts
        self._made: Any = None

    def draft(self) -> Path:
        try:
            self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise TargetFailed(f"{self._drafts} can't be used: {(error.strerror or 'failed').lower()}") from None
        return self._drafts / f"{_DRAFT}{secrets.token_hex(8)}"

    def keep(self, draft: Path, name: str) -> None:
        self._told(lambda client: client.upload_file(str(draft), self._bucket, self._prefix + name))
        self.done(draft)

    def fetch(self, name: str) -> Path:
        path = self.draft()
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            self._told(lambda client: client.download_file(self._bucket, self._prefix + name, str(path)))
            path.chmod(0o600)
        except BaseException:
            self.done(path)
            raise
        return path

    def done(self, fetched: Path) -> None:
        with suppress(OSError):
            fetched.unlink(missing_ok=True)

    def sizes(self) -> dict[str, int]:
        def look(client: Any) -> dict[str, int]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            found = (entry for page in pages for entry in page.get("Contents", ()))
            return {entry["Key"].removeprefix(self._prefix): entry["Size"] for entry in found}

        return {name: size for name, size in self._told(look).items() if "/" not in name}

    def remove(self, name: str) -> None:
        self._told(lambda client: client.delete_object(Bucket=self._bucket, Key=self._prefix + name))

    def _told(self, act: Callable[[Any], T]) -> T:
        where = f"s3://{self._bucket}"
        try:
            from boto3.exceptions import Boto3Error
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise TargetFailed(f"{where} needs the package boto3: pip install boto3") from None
        try:
            if self._made is None:
                self._made = _client(self._endpoint)
            return act(self._made)
        except ClientError as error:
            told: Mapping[str, Any] = error.response.get("Error", {})
            raise TargetFailed(f"{where} refuses that: {told.get('Code') or 'no reason given'}") from None
        except (Boto3Error, BotoCoreError) as error:
            raise TargetFailed(f"{where} can't be used: {type(error).__name__}") from None
        except OSError as error:
            raise TargetFailed(f"{where} can't be used: {(error.strerror or 'failed').lower()}") from None


def _client(endpoint: str | None) -> Any:
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 4, "mode": "standard"})
    # A session of its own: the one that all share keeps the credentials that it has once found.
    return boto3.Session().client("s3", endpoint_url=endpoint, config=patience)
