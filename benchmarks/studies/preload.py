"""Fills a store with very many users: copies of what the gateway has written for one."""

import re
import socket
from collections.abc import Iterator

import redis

from benchmarks.processes import BenchmarkError
from scalix.domain.identity.subjects import Subject, shard_of

_TAG = re.compile(rb"\{s[0-9a-f]{2}\}")
_BATCH = 20_000


def user_name(number: int) -> str:
    """The `number`th copy; all names have one length."""
    return f"known-{number:07d}"


def preload(port: int, template: str, users: int) -> int:
    """Copy everything that the store on `port` holds of the user `template` to `users` users more.

    Returns how many keys each has. Raises `BenchmarkError`."""
    client = redis.Redis(port=port)
    copied: dict[bytes, bytes] = {}
    for key in client.scan_iter(match=f"*{template}*", count=10_000):
        value = client.dump(key)
        if isinstance(value, bytes):
            copied[key] = value
    lists = [key for key in client.scan_iter(match="*}:n", count=10_000) if client.zscore(key, template) is not None]
    if len(copied) < 2:
        raise BenchmarkError(f"the store holds {len(copied)} keys of {template}, too few to copy")
    before = client.dbsize()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for first in range(0, users, _BATCH):
            numbers = range(first, min(users, first + _BATCH))
            commands = [part for number in numbers for part in _copies(number, template, copied, lists)]
            connection.sendall(b"".join(commands))
            _expect(connection, len(commands))
    added = client.dbsize() - before
    if added < users * len(copied):
        raise BenchmarkError(f"{added} keys have been added for {users} users of {len(copied)} each")
    return len(copied)


def _copies(number: int, template: str, copied: dict[bytes, bytes], lists: list[bytes]) -> Iterator[bytes]:
    name = user_name(number)
    for key, value in copied.items():
        yield _command(b"RESTORE", _renamed(key, template, name), b"0", value)
    for key in lists:
        yield _command(b"ZADD", _renamed(key, template, name), b"0", name.encode())


def _renamed(key: bytes, template: str, name: str) -> bytes:
    tag = b"{s%02x}" % shard_of(str(Subject("user", name)))
    return _TAG.sub(tag, key).replace(template.encode(), name.encode())


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def _expect(connection: socket.socket, replies: int) -> None:
    """Each reply is one line here. Raises `BenchmarkError` for an error."""
    lines, rest = 0, b""
    while lines < replies:
        data = connection.recv(1 << 20)
        if not data:
            raise BenchmarkError("the store has hung up")
        rest += data
        *whole, rest = rest.split(b"\r\n")
        lines += len(whole)
        wrong = next((line for line in whole if line.startswith(b"-")), None)
        if wrong is not None:
            raise BenchmarkError(f"the store refuses a copy: {wrong.decode(errors='replace')[:200]}")
