"""Portkey's gateway, from npm; it has no limits and counts nothing."""

import shutil
from pathlib import Path

from benchmarks.environments import PORTKEY, node_package
from benchmarks.peers.base import PROVIDER_MODEL, Running
from benchmarks.processes import BenchmarkError, free_port, start, wait_until_ready


class Portkey:
    """The open-source gateway on Node.js, without plug-ins."""

    name = "portkey"
    title = "Portkey's gateway (Node.js)"

    def install(self) -> None:
        """See `Peer`."""
        node_package("portkey", PORTKEY)

    def start(self, folder: Path, provider_url: str) -> Running:
        """See `Peer`."""
        node = shutil.which("node")
        if node is None:
            raise BenchmarkError("Node.js is not here")
        script = node_package("portkey", PORTKEY) / "@portkey-ai" / "gateway" / "build" / "start-server.js"
        port, log = free_port(), folder / "portkey.log"
        env = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
        process = start([node, script, f"--port={port}", "--headless"], folder=folder, log=log, env=env)
        wait_until_ready(process, f"http://127.0.0.1:{port}/", log)
        headers = {
            "authorization": "Bearer sk-demo",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{provider_url}/v1",
        }
        return Running(port, process, headers, model=PROVIDER_MODEL)
