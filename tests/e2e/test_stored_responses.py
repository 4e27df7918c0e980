"""`GET` and `DELETE /v1/responses/{id}`: one's own answers, which a provider keeps, and nobody else's."""

import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from scalix.edge.per_second import MOST_PER_S
from tests.e2e.gateways import JWT_SECRET, MASTER_KEY, SECRET_ISSUER, Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, scripted_models, whole
from tests.service.token_issuer import TokenIssuer

pytestmark = pytest.mark.timeout(180)

MODEL, PAIR, FAILS, CLAUDE = "kept-model", "kept-pair", "kept-fails", "kept-claude"
MODELS = scripted_models(
    (MODEL, "openai/provider-name", "/v1"),
    (PAIR, "openai/provider-name", "/left"),
    (PAIR, "openai/provider-name", "/right"),
    (FAILS, "openai/provider-name", "/failing"),
    (CLAUDE, "anthropic/claude-3-scripted", ""),
)
CANARY = "sk-canary-of-the-provider"


class KeepingProvider:
    """Keeps answers by their paths, as OpenAI does. `broken` is what it answers to whoever asks for one."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.broken: Answer | None = None
        self.log: Provider | None = None

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        assert self.log is not None
        method = self.log.heads[-1][":method"]
        if method != "POST":
            if self.broken is not None:
                return self.broken
            found = self.kept.pop(path, None) if method == "DELETE" else self.kept.get(path)
            if found is None:
                return whole({"error": {"message": f"{CANARY} not found", "type": "invalid_request_error"}}, 404)
            return whole({"id": found["id"], "object": "response", "deleted": True} if method == "DELETE" else found)
        if path.startswith("/failing"):
            return whole({"error": {"message": "down"}}, 500)
        if path.endswith("/messages"):
            usage = {"input_tokens": 7, "output_tokens": 5}
            content = [{"type": "text", "text": "hello"}]
            head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
            return whole({**head, "content": content, "usage": usage})
        ident = secrets.token_hex(12)
        text = {"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}
        message = {"type": "message", "id": f"msg_{ident}", "role": "assistant", "status": "completed"}
        response = {
            "id": f"resp_{ident}",
            "object": "response",
            "created_at": 1_700_000_000,
            "completed_at": 1_700_000_001,
            "model": "provider-name-2026",
            "status": "completed",
            "output": [{**message, "content": [text]}],
            "previous_response_id": body.get("previous_response_id"),
            "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12},
            "tools": [],
            "metadata": body.get("metadata") or {},
        }
        if body.get("store") is not False:
            self.kept[f"{path}/{response['id']}"] = response
        return whole(response)


@pytest.fixture(scope="module")
def provider() -> Iterator[tuple[KeepingProvider, Provider]]:
    keeping = KeepingProvider()
    with scripted(keeping.answer) as log:
        keeping.log = log
        yield keeping, log


@pytest.fixture(scope="module")
def keeping(provider: tuple[KeepingProvider, Provider]) -> KeepingProvider:
    return provider[0]


@pytest.fixture
def asked(provider: tuple[KeepingProvider, Provider]) -> Any:
    """Method and path of what the provider has been asked since the test began."""
    log = provider[1]
    before = len(log.asked)
    return lambda: [
        (head[":method"], path) for head, (path, _) in zip(log.heads[before:], log.asked[before:], strict=True)
    ]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: tuple[KeepingProvider, Provider]) -> Iterator[Gateway]:
    section = {"fallbacks": {FAILS: [MODEL]}}
    gateway = Gateway(tmp_path_factory.mktemp("stored"), provider[1].url, section=section, models=MODELS)
    try:
        yield gateway.start()
    finally:
        gateway.stop()


class User:
    """A user with a key, and OpenAI's client for it."""

    def __init__(self, gateway: Gateway, tier: str = "all-models") -> None:
        self.gateway = gateway
        self.name = f"user-{secrets.token_hex(6)}"
        with gateway.client() as admin:
            assert admin.post("/user/new", json={"user_id": self.name, "tier": tier}).status_code == 200
        self.key = self.new_key()
        self.client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=self.key, max_retries=0)

    def new_key(self) -> str:
        with self.gateway.client() as admin:
            return str(admin.post("/key/generate", json={"user_id": self.name}).json()["key"])

    def ask(self, **fields: Any) -> Any:
        return self.client.responses.create(**{"model": MODEL, "input": "hi", **fields})

    def send(self, method: str, ident: str, **more: Any) -> httpx.Response:
        with self.gateway.client(self.key) as http:
            return http.request(method, f"/v1/responses/{ident}", **more)


@pytest.fixture
def ann(gateway: Gateway) -> User:
    return User(gateway)


@pytest.fixture
def bob(gateway: Gateway) -> User:
    return User(gateway)


@pytest.mark.parametrize("model", [MODEL, PAIR])
def test_a_user_gets_and_deletes_their_own_answer_where_it_is_kept(model: str, ann: User, asked: Any) -> None:
    given = ann.ask(model=model, metadata={"a": "b"})
    (_, made_at), *_ = asked()
    got = ann.client.responses.retrieve(given.id)
    assert got.model_dump() == given.model_dump()
    assert (got.model, got.output_text) == (model, "hello")
    ann.client.responses.delete(given.id)
    (read, read_at), (deleted, deleted_at) = asked()[1:]
    assert (read, deleted) == ("GET", "DELETE")
    assert read_at == deleted_at
    assert read_at.rpartition("/")[0] == made_at
    for call in (ann.client.responses.retrieve, ann.client.responses.delete):
        with pytest.raises(openai.NotFoundError):
            call(given.id)


def test_what_goes_on_from_an_answer_names_it_by_the_id_that_its_user_has(ann: User) -> None:
    first = ann.ask()
    second = ann.ask(previous_response_id=first.id)
    got = ann.client.responses.retrieve(second.id)
    assert got.previous_response_id == second.previous_response_id
    assert ann.ask(previous_response_id=got.previous_response_id).id


def test_what_a_fallback_answered_is_found_at_the_fallback_and_bears_its_name(ann: User, asked: Any) -> None:
    given = ann.ask(model=FAILS)
    assert given.model == MODEL
    assert ann.client.responses.retrieve(given.id).model_dump() == given.model_dump()
    assert asked()[-1][1].startswith("/v1/responses/resp_")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_nobody_reaches_an_answer_that_was_not_given_to_them(
    method: str, gateway: Gateway, ann: User, bob: User, asked: Any, keeping: KeepingProvider
) -> None:
    given = ann.ask().id
    kept = dict(keeping.kept)
    tag = given[-24:]
    tries = {
        "another's": given,
        "invented": "resp_" + secrets.token_hex(12),
        "without its tag": given.removesuffix(tag),
        "the provider's own": next(path for path in kept if path.startswith("/v1/")).rpartition("/")[2],
        "cut": given[:-1],
        "edited": given[:-1] + ("A" if given[-1] != "A" else "B"),
        "with a tag in front": given + tag,
        "of another's tag": bob.ask().id.removesuffix(bob.ask().id[-24:]) + tag,
    }
    before = len(asked())
    issuer = TokenIssuer(SECRET_ISSUER, secret=JWT_SECRET, now_s=int(time.time()))
    sub = f"jwt-{secrets.token_hex(6)}"
    with gateway.client() as admin:
        assert admin.post("/user/new", json={"user_id": f"a:{sub}", "tier": "all-models"}).status_code == 200
    callers: list[tuple[str, dict[str, str]]] = [
        (bob.key, {}),
        (bob.key, {"user": ann.name}),
        (issuer.token(sub=sub), {}),
        (MASTER_KEY, {"user": bob.name}),
    ]
    sent = [*((what, ident, callers[0]) for what, ident in tries.items()), *(("", given, one) for one in callers[1:])]
    assert len(sent) - 1 == MOST_PER_S  # of one user's
    for what, ident, (key, query) in sent:
        with gateway.client(key) as http:
            answered = http.request(method, f"/v1/responses/{ident}", params=query)
        assert answered.status_code == 404, (what, answered.text)
        error = answered.json()["error"]
        assert (error["code"], error["type"]) == ("object_not_found", "invalid_request_error")
        assert ident not in answered.text
    assert len(asked()) == before
    assert keeping.kept.keys() >= kept.keys()


def test_every_credential_of_the_user_reaches_it(gateway: Gateway, ann: User) -> None:
    given = ann.ask().id
    statuses = []
    for key, query in ((ann.new_key(), {}), (MASTER_KEY, {"user": ann.name}), (MASTER_KEY, {})):
        with gateway.client(key) as http:
            answered = http.get(f"/v1/responses/{given}", params=query)
            statuses.append(answered.status_code)
            assert answered.json()["id"] == given
    assert statuses == [200, 200, 200]
    with gateway.client("sk-wrong") as http:
        assert http.get(f"/v1/responses/{given}").status_code == 401


@pytest.mark.parametrize("name", ["../files/file-1", "..", "a/b", "a?b=c", "x" * 3000])
def test_not_even_who_may_use_all_ids_names_another_path_of_the_provider(
    name: str, gateway: Gateway, ann: User, asked: Any
) -> None:
    given = ann.ask().id
    plain = b64decode(given.partition("_own")[0].removeprefix("resp_")).decode()
    forged = b64encode((plain.rpartition("response_id:")[0] + f"response_id:{name}").encode()).decode()
    blind = User(gateway, "foreign-ids")
    assert blind.send("GET", given).status_code == 200
    before = len(asked())
    ident = f"resp_{forged}".replace("/", "%2F").replace("+", "%2B")
    assert blind.send("GET", ident).status_code == 404
    assert blind.send("DELETE", ident).status_code == 404
    assert len(asked()) == before


def test_a_user_whose_tier_has_lost_the_model_keeps_what_it_has_answered(gateway: Gateway, ann: User) -> None:
    given = ann.ask().id
    with gateway.client() as admin:
        assert admin.post("/user/update", json={"user_id": ann.name, "tier": "free-models"}).status_code == 200
    with pytest.raises(openai.PermissionDeniedError):
        ann.ask()
    assert ann.client.responses.retrieve(given).id == given
    ann.client.responses.delete(given)


def test_what_is_not_to_be_stored_is_not(ann: User, keeping: KeepingProvider) -> None:
    before = len(keeping.kept)
    given = ann.ask(store=False)
    assert len(keeping.kept) == before
    with pytest.raises(openai.NotFoundError):
        ann.client.responses.retrieve(given.id)


def test_a_model_whose_provider_keeps_no_answers_has_none(ann: User, asked: Any) -> None:
    given = ann.ask(model=CLAUDE)
    before = len(asked())
    with pytest.raises(openai.NotFoundError):
        ann.client.responses.retrieve(given.id)
    assert len(asked()) == before


@pytest.mark.parametrize(
    ("broken", "status", "code"),
    [
        (whole({"error": {"message": CANARY}}, 500), 503, "provider_unavailable"),
        (whole({"error": {"message": CANARY}}, 401), 503, "provider_unavailable"),
        (whole({"error": {"message": CANARY}}, 429), 503, "provider_unavailable"),
        (Answer(200, (f"<html>{CANARY}</html>".encode(),), (("content-type", "text/html"),)), 503, None),
        (whole({"error": {"message": CANARY}}, 400), 404, "object_not_found"),
        (Answer(405, (CANARY.encode(),)), 404, "object_not_found"),
    ],
    ids=["500", "401", "429", "a page", "400", "405"],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_the_provider_says_of_a_failure_is_said_in_our_words(
    method: str, broken: Answer, status: int, code: str | None, ann: User, keeping: KeepingProvider, asked: Any
) -> None:
    given = ann.ask().id
    keeping.broken = broken
    try:
        answered = ann.send(method, given)
    finally:
        keeping.broken = None
    assert answered.status_code == status, answered.text
    assert code is None or answered.json()["error"]["code"] == code
    assert CANARY not in answered.text
    assert [head for head, _ in asked()] == ["POST", method]  # and not once more
    assert ann.ask().id  # nothing of it stands against the model


def test_it_is_free_and_what_has_no_effect_is_named(gateway: Gateway, ann: User) -> None:
    given = ann.ask().id

    def used() -> int:
        with gateway.client() as admin:
            limits = admin.get("/user/limits", params={"user_id": ann.name}).json()["limits"]
        return int(next(limit["used"] for limit in limits if limit["limit"] == "requests-day"))

    assert used() == 1
    answered = ann.send("GET", given, params={"include[]": "reasoning.encrypted_content", "stream": "false"})
    assert answered.status_code == 200
    assert answered.headers["x-scalix-dropped"] == "include[]"
    streamed = ann.send("GET", given, params={"stream": "true"})
    assert (streamed.status_code, streamed.json()["error"]["param"]) == (400, "stream")
    assert used() == 1
