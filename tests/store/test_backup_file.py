"""A backup's file: whatever is wrong with it is found before anything is used of it."""

import base64
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from scalix.store.backup.backup_file import BackupReader, BackupWriter, BadBackup, backup_keys

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
LINES = [["k", f"user {number}", "string", 0, 1, [os.urandom(400).hex()]] for number in range(1_200)]


def written(path: Path, keys: list[bytes]) -> Path:
    writer = BackupWriter(path, {"created_ms": 1_772_107_200_000, "version": "1"}, keys)
    for line in LINES:
        writer.add(line)
    assert writer.close() == path.stat().st_size
    return path


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def without_its_last_frame(content: bytes) -> bytes:
    """Cut at the end of a frame, so that only the mark of the last one is missing."""
    head = content.index(b"\n", content.index(b"\n") + 1) + 1
    size = int.from_bytes(content[head : head + 4], "big")
    return content[: head + 5 + size]


def one_bit(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def another_time(content: bytes) -> bytes:
    return content.replace(b"1772107200000", b"1772107200001", 1)


def more_behind(content: bytes) -> bytes:
    return content + b"x"


def another_text(content: bytes) -> bytes:
    return b"something else\n" + content


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["plain", "encrypted"])
@pytest.mark.parametrize(
    "spoil",
    [cut, without_its_last_frame, one_bit, another_time, more_behind, another_text],
    ids=lambda one: one.__name__,
)
def test_a_backup_that_was_cut_short_or_changed_is_no_backup(
    tmp_path: Path, keys: list[bytes], spoil: Callable[[bytes], bytes]
) -> None:
    path = written(tmp_path / "one", keys)
    assert list(BackupReader.whole(path, keys).lines()) == LINES
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(BadBackup):
        BackupReader.whole(path, keys)


def test_an_encrypted_backup_shows_nothing_and_is_read_with_its_key_alone(tmp_path: Path) -> None:
    path = written(tmp_path / "one", [KEY])
    content = path.read_bytes()
    assert b"user" not in content.partition(b"}\n")[2]
    assert len({written(tmp_path / name, [KEY]).read_bytes() for name in ("two", "three")} | {content}) == 3
    for keys, why in (([], "SCALIX_BACKUP_KEY is not set"), ([OTHER], "no key of SCALIX_BACKUP_KEY opens it")):
        with pytest.raises(BadBackup, match=why):
            BackupReader.whole(path, keys)
    assert list(BackupReader(path, [OTHER, KEY]).lines()) == LINES


def test_a_backup_is_for_its_own_user_only(tmp_path: Path) -> None:
    assert stat.S_IMODE(written(tmp_path / "one", []).stat().st_mode) == 0o600


def test_keys_are_told_from_what_is_none() -> None:
    text = base64.b64encode(KEY).decode()
    assert backup_keys(f"{text}, {base64.urlsafe_b64encode(OTHER).decode()}") == [KEY, OTHER]
    assert backup_keys(None) == backup_keys(" ") == []
    for wrong in ("short", text[:-4], "é" * 44, text + "AAAA"):
        with pytest.raises(ValueError, match="no key of 32 bytes"):
            backup_keys(wrong)
