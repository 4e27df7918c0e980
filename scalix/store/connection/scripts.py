"""Lua scripts, one file per operation, loaded by name and run by hash."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, Protocol

from redis.exceptions import NoScriptError

# What each script needs, and no more: a call costs more with every function that is loaded.
_SHARED = "windows"
_WITH = {
    **dict.fromkeys(("settle", "sweep", "release"), ("charges", "ledger")),
    **dict.fromkeys(("reset", "raise_to", "delete_user"), ("ended", "adjust")),
    "admit": ("ended",),
}


@cache
def source_of(name: str) -> str:
    """The text of `lua/<name>.lua`, with the shared functions that it needs before it."""
    folder = files("scalix.store") / "lua"
    names = [_SHARED, *_WITH.get(name, ()), name]
    return "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in names)


@cache
def hash_of(name: str) -> str:
    """The SHA-1 by which the server knows the script."""
    return sha1(source_of(name).encode(), usedforsecurity=False).hexdigest()


class _Client(Protocol):
    def evalsha(self, sha: str, numkeys: int, /, *keys_and_args: Any) -> Any: ...
    def eval(self, script: str, numkeys: int, /, *keys_and_args: Any) -> Any: ...


async def run(client: _Client, name: str, keys: Sequence[str], args: Sequence[str | int]) -> Any:
    """Run a script; the server gets its text again when it has lost it (restart, SCRIPT FLUSH, fail-over)."""
    try:
        return await client.evalsha(hash_of(name), len(keys), *keys, *args)
    except NoScriptError:
        return await client.eval(source_of(name), len(keys), *keys, *args)
