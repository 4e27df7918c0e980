"""A provider that answers exactly what a test has written, byte for byte, in whichever format; and its own log.

It is not the demo provider, which comes from the same hands as the gateway and agrees with it.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Answer:
    """One answer. `pieces` are written and flushed one by one."""

    status: int = 200
    pieces: Iterable[bytes] = (b"{}",)
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


def whole(value: Any, status: int = 200) -> Answer:
    """An answer of JSON."""
    return Answer(status, (orjson.dumps(value),))


@dataclass
class Provider:
    """`answer` makes the answer to a path and a body; `asked` are the requests that came, in order."""

    answer: Callable[[str, dict[str, Any]], Answer]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)  # their headers, and `:method`
    url: str = ""


@contextmanager
def scripted(answer: Callable[[str, dict[str, Any]], Answer]) -> Iterator[Provider]:
    """A provider on a free port of this machine, until the block ends."""
    provider = Provider(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            body = orjson.loads(raw) if raw else {}
            provider.asked.append((self.path, body))
            provider.heads.append({":method": self.command} | {n.lower(): v for n, v in self.headers.items()})
            made = provider.answer(self.path, body)
            self.send_response(made.status)
            for name, value in made.headers:
                self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            try:
                for piece in made.pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
            except OSError:  # the gateway has hung up
                close = getattr(made.pieces, "close", None)
                if close is not None:
                    close()

        def do_GET(self) -> None:
            if self.path.endswith("/models"):  # by a job of LiteLLM's, which looks up limits, and at no certain time
                self.send_error(404)
            else:
                self.do_POST()

        def do_DELETE(self) -> None:
            self.do_POST()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


def scripted_models(*rows: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Entries of a config for the scripted provider: public name, LiteLLM's name, and the path of the API there."""
    return [
        {
            "model_name": name,
            "litellm_params": {
                "model": model,
                "api_base": f"${{TEST_PROVIDER_ROOT}}{path}",
                "api_key": "${TEST_PROVIDER_KEY}",
            },
            "model_info": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_output_tokens": 4096},
        }
        for name, model, path in rows
    ]
