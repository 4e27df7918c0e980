"""`python -m tests.clients.locks` completes npm's locks with the packages for other machines that they leave out.

`npm ci` wants every package of `optionalDependencies` in a lock, and npm leaves out those that its registry has not.
What is written for them keeps them from being installed here: the machine they are for. They have no hash.
"""

import json
import re
from typing import Any

from tests.clients.catalogue import CLIENTS, NPM

_SYSTEM = re.compile(r"(darwin|linux|win32|windows|android|freebsd)-?(arm64|x64|arm|ia32|musl-x64|riscv64)?.*?(musl)?$")
_UNDER = "node_modules/"


def completed(lock: dict[str, Any]) -> dict[str, Any]:
    """The lock with an entry for each package that it names and lacks."""
    packages: dict[str, Any] = lock["packages"]
    there = {path.rpartition(_UNDER)[2] for path in packages}
    optional = [entry.get("optionalDependencies", {}) for entry in packages.values()]
    named = {name: version for group in optional for name, version in group.items()}
    missing = {f"{_UNDER}{name}": _entry(name, named[name]) for name in named.keys() - there}
    return {**lock, "packages": dict(sorted((packages | missing).items()))}


def _entry(name: str, version: str) -> dict[str, Any]:
    found = _SYSTEM.search(name)
    assert found is not None, f"{name}: for which machine is it?"
    system = "win32" if found[1] == "windows" else found[1]
    entry: dict[str, Any] = {"version": version, "cpu": [found[2]], "optional": True, "os": [system]}
    return entry | ({"libc": ["musl"]} if found[3] else {})


def main() -> None:
    for client in CLIENTS:
        if client.kind == NPM:
            lock = json.loads(client.lock.read_text(encoding="utf-8"))
            client.lock.write_text(json.dumps(completed(lock), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
