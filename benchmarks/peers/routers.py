"""Routers in Rust, from PyPI: they choose a server for each request and pass it on. No users, no limits, no prices."""

from pathlib import Path

from benchmarks.environments import locked_environment
from benchmarks.peers.base import PROVIDER_MODEL, Running
from benchmarks.processes import free_port, start, wait_until_ready

LOCKS = Path(__file__).parent


class Router:
    """A router in front of the provider as its only server. `command` starts it, `quiet` is its word for warnings."""

    def __init__(self, name: str, title: str, command: tuple[str, ...], quiet: str) -> None:
        self.name = name
        self.title = title
        self._command = command
        self._quiet = quiet

    def install(self) -> None:
        """See `Peer`."""
        self._binaries()

    def start(self, folder: Path, provider_url: str) -> Running:
        """See `Peer`."""
        program, *words = self._command
        port, log = free_port(), folder / "router.log"
        options = ["--worker-urls", provider_url, "--host", "127.0.0.1", "--port", str(port)]
        options += ["--prometheus-port", str(free_port()), "--policy", "round_robin", "--log-level", self._quiet]
        process = start([self._binaries() / program, *words, *options], folder=folder, log=log)
        wait_until_ready(process, f"http://127.0.0.1:{port}/readiness", log)
        return Running(port, process, {"authorization": "Bearer sk-demo"}, model=PROVIDER_MODEL)

    def _binaries(self) -> Path:
        return locked_environment(self.name, LOCKS / f"{self.name}.lock")


ROUTERS = (
    Router("vllm-router", "vLLM's router (Rust)", ("vllm-router",), "warning"),
    Router("sglang-router", "SGLang's router (Rust)", ("sglang-router", "launch"), "warn"),
)
