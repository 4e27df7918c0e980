"""The demo provider as tests use it: a real process on a free port, and its request log.

def test_something(demo_server: DemoServer) -> None:
    httpx.post(demo_server.base_url + "/chat/completions", json=…)
    (request,) = demo_server.requests(contains="a text of this test alone")
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parent.parent
START_SECONDS = 30.0


class DemoServer:
    """A demo provider in a process of its own, which dies with this one. Use it as a context, or call `stop`.

    `options` are options of `python -m scalix_demo`. `url` is the server, `base_url` the same with `/v1`.
    """

    def __init__(self, *options: str) -> None:
        reader, writer = os.pipe()
        try:
            own = ["--ready-fd", str(writer), "--parent-pid", str(os.getpid())]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "scalix_demo", *own, *options], cwd=ROOT, pass_fds=(writer,)
            )
        finally:
            os.close(writer)
        with os.fdopen(reader) as ready:
            line = ready.readline()  # ends with the process, should it fail
        if not line:
            raise RuntimeError(f"the demo provider did not start: exit code {self.process.wait(START_SECONDS)}")
        self.port = int(line.split()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.base_url = f"{self.url}/v1"
        self._client = httpx.Client(base_url=self.url, timeout=30.0, trust_env=False)

    @property
    def pid(self) -> int:
        return self.process.pid

    def requests(
        self, *, contains: str = "", since: int = 0, settled: int | None = None, bodies: bool = True, wait_s: float = 10
    ) -> list[dict[str, Any]]:
        """The logged requests after the number `since` whose body has `contains` in it, oldest first.

        With `settled`, waits until that many of them are there and none of them is still being answered; a
        TimeoutError after `wait_s` says what there was.
        """
        deadline = time.monotonic() + wait_s
        query: dict[str, str | int] = {"contains": contains, "since": since, "bodies": int(bodies)}
        while True:
            found: list[dict[str, Any]] = self._client.get("/demo/requests", params=query).json()["requests"]
            if settled is None or (len(found) >= settled and all(request["outcome"] for request in found)):
                return found
            if time.monotonic() > deadline:
                seen = [(request["path"], request["outcome"]) for request in found]
                raise TimeoutError(f"wanted {settled} settled requests within {wait_s} s, there were: {seen}")
            time.sleep(0.01)

    def last_seq(self) -> int:
        """The number of the newest request, to be given as `since` later."""
        return int(self._client.get("/demo/requests", params={"since": 10**15}).json()["last_seq"])

    def stop(self) -> int:
        """Ends the process and returns its exit code; 0 is an orderly end. May be called twice."""
        self._client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10.0)

    def __enter__(self) -> "DemoServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@pytest.fixture(scope="session")
def demo_server() -> Iterator[DemoServer]:
    """One demo provider for all tests of a worker; tests tell their requests apart by their text."""
    with DemoServer() as server:
        yield server
