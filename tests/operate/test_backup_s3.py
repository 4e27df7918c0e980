"""Backups in a bucket of a real S3 server, which checks who asks."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.backup import BackupSettings
from scalix.service.backup.making import verify
from scalix.store.backup.targets import S3Target, TargetFailed
from scalix.wiring.backup import build_backups, place_of
from tests.operate.tools import program
from tests.store.backup_rig import contents, session_at
from tests.store.ledger_rig import LedgerRig
from tests.store.servers import free_ports, wait_for

pytestmark = pytest.mark.operate
ACCESS_KEY, SECRET_KEY = "access-of-the-tests", "secret-of-the-tests"
WAY = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("s3")
    identity = {"name": "gateway", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}]}
    (folder / "s3.json").write_text(json.dumps({"identities": [{**identity, "actions": ["Admin", "Read", "Write"]}]}))
    # Each part also listens ten thousand above its port.
    master, volume, filer, s3 = free_ports(4)
    options = [
        *(f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={folder / 's3.json'}"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"),
        "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program("weed"), "server", *options], stdout=log, stderr=log, cwd=folder)
    try:
        address = f"http://127.0.0.1:{s3}"
        wait_for(lambda: made_bucket(address), "the S3 server", timeout_s=60)
        yield address
    finally:
        server.kill()
        server.wait(20)


def made_bucket(address: str) -> bool:
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    client: Any = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )
    try:
        client.create_bucket(Bucket="backups")
    except (BotoCoreError, ClientError):
        return False
    return True


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix)
    yield rig
    await rig.close()


async def test_a_backup_goes_to_a_bucket_is_listed_checked_restored_and_removed(
    endpoint: str,
    rig: LedgerRig,
    store_url: str,
    key_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in WAY.items():
        monkeypatch.setenv(name, value)
    settings = BackupSettings(to="s3://backups/of/the tests", endpoint=endpoint, keep=1)
    place = place_of(settings, tmp_path, {})
    parts = build_backups(rig.session, tmp_path, place)
    await rig.a_day(users=20, requests=5)
    before = await contents(rig.session)
    first = await parts.making.create(settings)
    assert place.target.sizes() == {first.name: first.size_bytes}
    assert verify(place, None).keys == first.keys
    await parts.restoring.notes.note("user:somebody")
    rig.clock.advance(seconds=1)
    second = await parts.making.create(settings)
    assert place.backups() == [second.name]
    assert len([name for name in place.names() if name.endswith(".erased")]) == 1
    async with session_at(store_url, f"{key_prefix}2:") as other:
        await build_backups(other, tmp_path, place).restoring.restore(None)
        restored = await contents(other)
        assert {name: value for name, value in before.items() if restored.get(name) != value} == {}
    assert list((tmp_path / "backup").iterdir()) == []


def test_what_the_bucket_refuses_is_said_without_a_secret(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**WAY, "AWS_SECRET_ACCESS_KEY": "wrong"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TargetFailed, match=r"s3://backups refuses that: \w+"):
        S3Target("backups", "", endpoint, tmp_path).sizes()
    for name, value in WAY.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TargetFailed, match="s3://nowhere-else refuses that: NoSuchBucket"):
        S3Target("nowhere-else", "", endpoint, tmp_path).sizes()
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(TargetFailed, match="can't be used: EndpointConnectionError"):
        S3Target("backups", "", "http://127.0.0.1:9", tmp_path).sizes()
