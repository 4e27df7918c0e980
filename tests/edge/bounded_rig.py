"""A running gateway whose event loop is watched from outside, in front of a provider that answers whatever it is told.

A pause is how long a probe of `/health/liveliness` waits, but no longer than the worker has computed meanwhile: what
else the machine does is not the gateway's.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.e2e.gateways import Gateway

PROBE_EVERY_S = 0.005
_USAGE = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
_CALM: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": _USAGE,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    },
    "/v1/completions": {
        "id": "x", "object": "text_completion", "created": 1, "model": "m", "usage": _USAGE,
        "choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}],
    },
    "/v1/embeddings": {
        "object": "list", "model": "m", "usage": _USAGE,
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
    },
    "/v1/responses": {
        "id": "resp_x", "object": "response", "created_at": 1, "model": "m", "status": "completed",
        "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "hi", "annotations": []}]}],
        "usage": {"input_tokens": 5, "output_tokens": 1, "total_tokens": 6},
    },
    "/v1/messages": {
        "id": "msg_x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}], "usage": {"input_tokens": 5, "output_tokens": 1},
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 1, "totalTokenCount": 6},
    },
}  # fmt: skip


@dataclass
class Told:
    """What the provider answers next. Without a body: what a calm one would."""

    status: int = 200
    body: bytes | None = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False  # the connection ends before the body does


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    told = Told()


class _Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        length = int(self.headers["content-length"] or 0)
        while length > 0:
            length -= len(self.rfile.read(min(length, 1 << 20)))
        told = self.server.told
        path = urlsplit(self.path).path
        calm = _CALM["gemini" if ":" in path else path]
        body = json.dumps(calm).encode() if told.body is None else told.body
        self.send_response(told.status)
        for name, value in {"content-type": told.content_type, **told.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body) + told.cut))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        self.close_connection = told.cut

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@dataclass
class Watched:
    """The gateway, and the worker that its loop runs in."""

    gateway: Gateway
    worker: psutil.Process
    provider: _Server

    def send(self, path: str, body: bytes, told: Told, headers: dict[str, str] | None = None) -> tuple[int, float]:
        """The status of the answer, and the longest pause in seconds until it was there."""
        self.provider.told = told
        where = urlsplit(self.gateway.url)
        done = threading.Event()
        longest: list[float] = []
        probe = threading.Thread(target=self._probe, args=(where, done, longest))
        probe.start()
        sent = {"authorization": f"Bearer {self.gateway.master_key}", "content-type": "application/json"}
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        try:
            connection.request("POST", path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            with contextlib.suppress(http.client.IncompleteRead):
                answer.read()
            return answer.status, self._ended(probe, done, longest)
        finally:
            connection.close()
            self._ended(probe, done, longest)

    def _ended(self, probe: threading.Thread, done: threading.Event, longest: list[float]) -> float:
        done.set()
        probe.join()
        return max(longest)

    def _probe(self, where: Any, done: threading.Event, longest: list[float]) -> None:
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=120)
        longest.append(0.0)
        while True:
            ending = done.is_set()
            began_s, computed_s = time.monotonic(), self._computed_s()
            connection.request("GET", "/health/liveliness")
            connection.getresponse().read()
            longest.append(min(time.monotonic() - began_s, self._computed_s() - computed_s))
            if ending:
                connection.close()
                return
            time.sleep(PROBE_EVERY_S)

    def _computed_s(self) -> float:
        times = self.worker.cpu_times()
        return float(times.user + times.system)


@contextmanager
def watched(folder: Path, models: dict[str, str]) -> Iterator[Watched]:
    """A gateway with `models` (LiteLLM's by ours), all of them at one provider."""
    server = _Server(("127.0.0.1", 0), _Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    entries = [
        {
            "model_name": name,
            "litellm_params": {
                "model": model,
                "api_base": url + ("/v1" if model.startswith("openai/") else ""),
                "api_key": "${TEST_PROVIDER_KEY}",
            },
            "model_info": {"max_output_tokens": 4096, "input_cost_per_token": 0, "output_cost_per_token": 0},
        }
        for name, model in models.items()
    ]
    gateway = Gateway(folder, url, models=entries, extra={"SCALIX_WORKER_MAX_RSS_MB": "0"})
    try:
        gateway.start()
        (worker,) = gateway.workers()
        yield Watched(gateway, worker, server)
    finally:
        gateway.stop()
        server.shutdown()
        server.server_close()
