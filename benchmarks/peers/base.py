"""What every peer has: an installation, a start, a stop, and the processes whose CPU time is counted."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.processes import stop

MASTER_KEY = "sk-benchmark-4f0c9d2a7be81653"
MODEL = "bench"
# A model that LiteLLM's own price map has, so that no peer stumbles over an unknown price.
PROVIDER_MODEL = "gpt-4o-mini"


@dataclass(slots=True)
class Running:
    """A started peer. `beside` are processes that it needs and that are stopped with it, such as a store."""

    port: int
    process: subprocess.Popen[bytes]
    headers: Mapping[str, str] = field(default_factory=lambda: {"authorization": f"Bearer {MASTER_KEY}"})
    beside: list[subprocess.Popen[bytes]] = field(default_factory=list)
    model: str = MODEL

    @property
    def roots(self) -> list[int]:
        """The processes whose trees are measured."""
        return [self.process.pid, *(process.pid for process in self.beside)]

    def stop(self) -> None:
        """Stop all its processes."""
        for process in (self.process, *self.beside):
            stop(process)


class Peer(Protocol):
    """A gateway with OpenAI's API in front of the provider."""

    name: str
    title: str

    def install(self) -> None:
        """Install it under `.bench/`, once. Raises `BenchmarkError` if that is not possible."""
        ...

    def start(self, folder: Path, provider_url: str) -> Running:
        """Start it on a port of its own and return when it is ready. Raises `BenchmarkError`."""
        ...
