"""Has the doctor look at a place of its own, and real servers in place of providers."""

import contextlib
import io
import json
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scalix.cli.doctor import main
from tests.launch.running import Place

GOOD_KEY = "sk-5e1f0a9b7c3d2e4f5a6b7c8d9e0f1a2b"
MODEL = """\
  - model_name: {name}
    litellm_params: {{model: {model}, {params}}}
    model_info: {{input_cost_per_token: 0, output_cost_per_token: 0}}
"""


@dataclass
class Examined:
    """What the doctor said: its exit code, and the findings."""

    code: object
    findings: list[dict[str, str]]

    def of(self, area: str, *levels: str) -> list[dict[str, str]]:
        """The findings of an area, of these levels or of all but `ok`."""
        wanted = levels or ("note", "warning", "problem")
        return [one for one in self.findings if one["area"] == area and one["level"] in wanted]

    def the(self, area: str, words: str) -> dict[str, str]:
        """The one finding of an area that has these words."""
        found = [one for one in self.findings if one["area"] == area and words in f"{one['where']}: {one['what']}"]
        assert len(found) == 1, self.findings
        return found[0]


class Practice:
    """A place to look at, which has nothing amiss but what a test puts there."""

    def __init__(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self._monkeypatch = place, monkeypatch
        self.variables: dict[str, str] = {"TINY_KEY": "k" * 24}

    def models(self, *models: tuple[str, str], tail: str = "") -> None:
        """Write a config of these models: of each, LiteLLM's name and the parameters beside it."""
        listed = "".join(MODEL.format(name=f"m{n}", model=m, params=p) for n, (m, p) in enumerate(models))
        (self.place.folder / "config.yaml").write_text(f"model_list:\n{listed}{tail}")

    def text(self, *arguments: str, env: str = "", env_mode: int = 0o600) -> tuple[object, str]:
        """Exit code and output."""
        (self.place.folder / "empty.env").write_text(env)
        (self.place.folder / "empty.env").chmod(env_mode)
        with self._monkeypatch.context() as patch, io.StringIO() as out:
            for name in os.environ:
                if name not in ("PATH", "HOME"):
                    patch.delenv(name)
            for name, value in {**self.place.environment(), **self.variables}.items():
                patch.setenv(name, value)
            patch.delenv("SCALIX_APP")
            patch.chdir(self.place.folder)
            with contextlib.redirect_stdout(out):
                code = main([*arguments, "--env-file", str(self.place.folder / "empty.env")])
            return code, out.getvalue()

    def examine(self, *arguments: str, env: str = "", env_mode: int = 0o600) -> Examined:
        """What the doctor finds; `env` is the text of the env file."""
        code, told = self.text("--json", *arguments, env=env, env_mode=env_mode)
        seen = Examined(code, json.loads(told)["findings"])
        assert [one for one in seen.findings if one["level"] in ("warning", "problem") and not one["fix"]] == []
        return seen


@dataclass
class Answering:
    """A server that answers every `GET` with one status; `asked` are method, target and headers of what came."""

    status: int
    body: bytes = b"{}"
    asked: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)
    url: str = ""


@contextmanager
def answering(status: int, body: bytes = b"{}", *, certificate: Path | None = None) -> Iterator[Answering]:
    """A server on a free port, with TLS by the certificate and its key in one file."""
    known = Answering(status, body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append((self.command, self.path, dict(self.headers.items())))
            self.send_response(known.status)
            self.end_headers()
            self.wfile.write(known.body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known.url = f"http{'s' if certificate else ''}://localhost:{server.server_address[1]}"
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
