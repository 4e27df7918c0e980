"""A client that stops reading its stream, at the gate behind the real server, over a real socket."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import uvicorn

from scalix.serving.http_protocol import BoundedHttpProtocol
from tests.edge.gates import MASTER_KEY, InProcess, in_process


class Impatient(BoundedHttpProtocol):
    unread_s = 0.3


async def endless_stream(scope: Any, receive: Any, send: Any) -> None:
    """A provider's answer of some megabytes: more than any buffer takes."""
    await receive()
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    delta = {"choices": [{"index": 0, "delta": {"content": "word " * 2_000}}]}
    event = b"data: " + json.dumps(delta).encode() + b"\n\n"
    for _ in range(5_000):
        await send({"type": "http.response.body", "body": event, "more_body": True})


async def usage(edge: InProcess) -> dict[str, Any]:
    answered = await edge.call("GET", "/user/info", query=b"user_id=slow")
    return dict(json.loads(answered.body)["usage"])


async def test_a_client_that_stops_reading_is_let_go_and_charged_what_was_delivered(
    tmp_path: Path, store_url: str
) -> None:
    async with in_process(tmp_path, store_url, inner=endless_stream) as edge:
        config = uvicorn.Config(edge.gate, http=Impatient, lifespan="off", log_config=None, port=0)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        client.connect(("127.0.0.1", server.servers[0].sockets[0].getsockname()[1]))
        body = json.dumps(
            {"model": "large", "user": "slow", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        ).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {MASTER_KEY}\r\n"
        assert (await edge.call(path="/user/new", body={"user_id": "slow", "tier": "premium"})).status == 200
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert (await asyncio.to_thread(client.recv, 1_000)).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(30):
            while (seen := await usage(edge))["requests_today"] == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert seen["in_flight_requests"] == 0
        assert seen["tokens_today"] > 2_000
        client.close()
        server.should_exit = True
        await serving
