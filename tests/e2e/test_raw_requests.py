"""Bytes that no HTTP library would send, to the running gateway."""

import secrets
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import orjson
import pytest

from scalix.domain.requests.guard import MIB
from tests.e2e.gateways import MASTER_KEY, Gateway

AUTHORIZATION = b"authorization: Bearer " + MASTER_KEY.encode() + b"\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BODY = b'{"model": "free-gemini-flash", "messages": [{"role": "user", "content": "hi [[demo words=1]]"}]}'


def say(gateway: Gateway, text: bytes) -> bytes:
    """What the gateway answers until it closes, or for a second."""
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(text)
        answer = b""
        connection.settimeout(5)
        try:
            while part := connection.recv(65536):
                answer += part
                head, found, body = answer.removeprefix(CONTINUE).partition(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                if found and length and len(body) >= int(length[0].split(b":")[1]):
                    break
        except (TimeoutError, ConnectionResetError):
            pass
    return answer


def post(
    *headers: bytes, path: bytes = b"/v1/chat/completions", body: bytes = BODY, length: int | None = None
) -> bytes:
    size = len(body) if length is None else length
    head = b"POST %s HTTP/1.1\r\nhost: gateway\r\ncontent-length: %d\r\n" % (path, size)
    return head + b"".join(headers) + b"\r\n" + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def test_a_right_request_passes_and_the_answer_tells_nothing_of_what_is_inside(gateway: Gateway) -> None:
    answer = say(gateway, post(AUTHORIZATION))
    assert status(answer) == 200
    names = {line.split(b":")[0].lower() for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
    assert not names & {b"server", b"set-cookie", b"openai-organization", b"via", b"x-powered-by"}
    assert not [name for name in names if name.startswith((b"x-litellm", b"llm_provider"))]


@pytest.mark.parametrize(
    "text",
    [
        post(AUTHORIZATION, AUTHORIZATION),
        post(AUTHORIZATION, b"authorization: Bearer other\r\n"),
        post(AUTHORIZATION, b"x-api-key: other\r\n", b"x-api-key: another\r\n"),
        post(AUTHORIZATION, b"host: other\r\n"),
        post(AUTHORIZATION, b"x: \x01\r\n"),
        post(AUTHORIZATION, b"transfer-encoding: chunked\r\n"),
        post(AUTHORIZATION, b"content-length: 5\r\n"),
        post(AUTHORIZATION, b"content-encoding: gzip\r\n"),
        post(AUTHORIZATION, *[b"x-%d: y\r\n" % number for number in range(150)]),
        b"GET /v1/models HTTP/1.1\r\n" + AUTHORIZATION + b"\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: a b\r\n" + AUTHORIZATION + b"\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer x\x00" + AUTHORIZATION + b"\r\n",
    ],
)
def test_what_two_readers_could_take_for_two_things_is_a_400(gateway: Gateway, text: bytes) -> None:
    assert status(say(gateway, text)) == 400


@pytest.mark.parametrize(
    "line",
    [
        *(b"GET http://gateway/v1/models", b"GET //v1/models", b"GET /v1/../v1/models", b"GET /v1/%6dodels"),
        *(b"GET /openai/models", b"GET /V1/MODELS", b"GET /v1/models;x", b"OPTIONS *", b"GET /v1/chat%2Fcompletions"),
    ],
)
def test_another_spelling_of_a_path_is_a_404(gateway: Gateway, line: bytes) -> None:
    answer = say(gateway, line + b" HTTP/1.1\r\nhost: gateway\r\n" + AUTHORIZATION + b"\r\n")
    assert status(answer) == 404
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "route_not_found"


def test_a_refused_request_is_answered_before_its_body_is_asked_for(gateway: Gateway) -> None:
    answer = say(gateway, post(b"expect: 100-continue\r\n", body=b"", length=10_000_000))
    assert status(answer) == 401


def test_a_body_that_is_asked_for_is_read(gateway: Gateway) -> None:
    answer = say(gateway, post(AUTHORIZATION, b"expect: 100-continue\r\n"))
    assert answer.startswith(CONTINUE)
    assert status(answer.removeprefix(CONTINUE)) == 200


def test_a_head_without_end_is_cut_off(gateway: Gateway) -> None:
    answer = say(gateway, b"GET /v1/models HTTP/1.1\r\nx: " + b"y" * 500_000)
    assert answer == b"" or status(answer) == 431


def test_a_second_request_in_the_same_packet_is_judged_by_itself(gateway: Gateway) -> None:
    second = b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n"
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        connection.sendall(post(AUTHORIZATION) + second)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 401") == 1


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"identity", b"chunked, chunked", b"deflate,chunked"])
def test_a_transfer_encoding_that_is_not_read_is_said_and_not_guessed_at(gateway: Gateway, coding: bytes) -> None:
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ntransfer-encoding: " + coding + b"\r\n"
    answer = say(gateway, head + AUTHORIZATION + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert status(answer) in (400, 501)  # what is no coding at all, the parser has refused
    if coding == b"gzip, chunked":
        assert status(answer) == 501
        assert b"coding_not_read" in answer


@pytest.mark.parametrize("more", [b"", b', "stream": true'], ids=["whole", "stream"])
def test_a_client_that_half_closes_after_its_request_is_served(gateway: Gateway, more: bytes) -> None:
    parts = urlsplit(gateway.url)
    slow = BODY[:-1].replace(b"words=1", b"words=1 delay_ms=300") + more + b"}"
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(post(AUTHORIZATION, body=slow))
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    answers = [text for text in answer.split(b"HTTP/1.1 ") if text and not text.startswith(b"100 ")]
    assert [text[:3] for text in answers] == [b"200"]
    assert (b"[DONE]" if more else b'"usage"') in answers[0]


def test_one_user_whose_bodies_never_end_leaves_room_for_everybody_else(gateway: Gateway) -> None:
    with gateway.client() as http:
        made = [http.post("/key/generate", json={"user_id": f"large-{n}-{secrets.token_hex(4)}"}) for n in range(2)]
    one, other = (b"authorization: Bearer " + answer.json()["key"].encode() + b"\r\n" for answer in made)
    parts, refused = urlsplit(gateway.url), 0
    with ExitStack() as open_ones:
        for _ in range(5):
            connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
            open_ones.enter_context(connection)
            try:
                connection.sendall(post(one, body=b"x" * (16 * MIB - 1), length=16 * MIB))
                connection.settimeout(0.5)
                refused += connection.recv(65_536).startswith(b"HTTP/1.1 503")
            except TimeoutError:
                pass  # it is still read
            except ConnectionError:
                refused += 1
        assert refused == 1
        assert status(say(gateway, post(other))) == 200
