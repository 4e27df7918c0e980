"""A gateway's app in a few lines, so that the launcher's tests need not import LiteLLM. Loaded by a worker.

Paths: `/health/readiness`; `/slow?s` answers after so many seconds, `/until?path` when there is such a file; `/spin`
never does; `/grow?n` takes n MiB; `/die` ends the worker; `/env/NAME` tells a variable; `/say?words` and `/flood` write
to standard output.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from pathlib import Path
from typing import Any

from scalix.launch.config.policy_file import read_policy
from scalix.launch.processes.signals import EXIT_PORT_TAKEN

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


_grown: list[bytes] = []
leaving: list[bool] = []


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    path = scope["path"]
    body = f"{os.getpid()}".encode()
    if path == "/slow":
        print("slow request begun", flush=True)
        await asyncio.sleep(float(scope["query_string"] or 0))
    elif path == "/until":
        print("slow request begun", flush=True)
        while not os.path.exists(scope["query_string"]):  # noqa: ASYNC110, ASYNC240, PTH110
            await asyncio.sleep(0.02)
    elif path == "/spin":
        print("spinning", flush=True)
        while True:
            pass
    elif path == "/grow":
        _grown.append(bytes(int(scope["query_string"]) * 2**20 // 16).hex().encode() * 8)
    elif path == "/die":
        os._exit(9)
    elif path.startswith("/env/"):
        body = os.environ.get(path.removeprefix("/env/"), "").encode()
    elif path == "/flood":
        sys.stdout.write(("x" * 99 + "\n") * 50_000 + "the flood is over\n")
        sys.stdout.flush()
    elif path == "/say":
        print(scope["query_string"].decode(), flush=True)
    is_ready = not (leaving or os.environ.get("TINY_NOT_READY"))
    status = 503 if path == "/health/readiness" and not is_ready else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    print("a banner that nobody wants to see", flush=True)
    if os.path.exists(os.environ.get("TINY_DIES_WITH", "")):  # noqa: ASYNC240, PTH110
        os._exit(9)
    if os.environ.get("TINY_CANT_START"):
        sys.exit("this variable keeps it from starting")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if os.environ.get("TINY_HANGS_AT_END"):
        await asyncio.sleep(3600)
    print("the app has shut down", flush=True)
    await send({"type": "lifespan.shutdown.complete"})


app.leave = partial(leaving.append, True)  # type: ignore[attr-defined]


def create_app() -> Any:
    return app


class _Reloading:
    """`/hour/TIER` tells how many requests an hour a tier has, by the policy in force."""

    def __init__(self) -> None:
        self.reload()

    def reload(self) -> int:
        number, self._policy = read_policy(Path(os.environ["SCALIX_POLICY"]))
        return number

    def config_version(self) -> str:
        return self._policy.version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/hour/"):
            tier = self._policy.tiers[scope["path"].removeprefix("/hour/")]
            body = str(tier.limits.windows[0].value).encode()
            length = (b"content-length", b"%d" % len(body))
            await send({"type": "http.response.start", "status": 200, "headers": [length]})
            await send({"type": "http.response.body", "body": body})
        else:
            await app(scope, receive, send)


def create_reloading_app() -> Any:
    return _Reloading()


def create_broken_app() -> Any:
    raise RuntimeError("the moon is in the wrong phase")


def create_app_that_exits() -> Any:
    print("leaving without a reason", file=sys.stderr, flush=True)
    os._exit(5)


def create_app_that_lost_the_port() -> Any:
    os._exit(EXIT_PORT_TAKEN)


def create_app_that_never_loads() -> Any:
    import time

    time.sleep(3600)
