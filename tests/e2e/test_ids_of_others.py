"""Ids of what a provider keeps work for the user who got them, at every instance, and for nobody else.

Two gateways with one store and LiteLLM in them, of which the second has another master key, as after a rotation; a
scripted provider, whose log says which ids it was asked with; and OpenAI's and Anthropic's formats.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import httpx
import openai
import orjson
import pytest

from tests.e2e.gateways import MASTER_KEY, Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.store.servers import Server, free_ports, running

pytestmark = pytest.mark.timeout(180)

OPENAI, CLAUDE, PAIR = "ids-openai", "ids-claude", "ids-pair"
MODELS = [
    {
        "model_name": name,
        "litellm_params": {
            "model": model,
            "api_base": f"${{TEST_PROVIDER_ROOT}}{path}",
            "api_key": "${TEST_PROVIDER_KEY}",
        },
        "model_info": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_output_tokens": 4096},
    }
    for name, model, path in (
        (OPENAI, "openai/scripted", "/v1"),
        (CLAUDE, "anthropic/claude-scripted", ""),
        (PAIR, "openai/scripted", "/left"),
        (PAIR, "openai/scripted", "/right"),
    )
]
OTHER_MASTER_KEY = "sk-test-rotated-0123456789abcdef0123456789"
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def response_of(ident: str, body: dict[str, Any]) -> dict[str, Any]:
    """An answer of the Responses API with an id of every kind, all of which end in `ident`."""
    note = {"type": "container_file_citation", "container_id": f"cntr_{ident}", "file_id": f"cfile_{ident}"}
    text = {"type": "output_text", "text": "hello", "annotations": [{**note, "start_index": 0, "end_index": 1}]}
    output = [
        {"type": "reasoning", "id": f"rs_{ident}", "summary": [], "encrypted_content": f"gAAAA{ident}"},
        {"type": "code_interpreter_call", "id": f"ci_{ident}", "container_id": f"cntr_{ident}", "code": "1",
         "status": "completed", "outputs": []},
        {"type": "message", "id": f"msg_{ident}", "role": "assistant", "status": "completed", "content": [text]},
    ]  # fmt: skip
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": output,
        "conversation": body.get("conversation") and {"id": f"conv_{ident}"},
        "previous_response_id": body.get("previous_response_id"),
        "usage": {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12},
        "parallel_tool_calls": True,
        "tools": [],
    }


def frames(events: list[dict[str, Any]]) -> Answer:
    """A stream of these events."""
    pieces = tuple(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events)
    return Answer(200, pieces, (("content-type", "text/event-stream"),))


def answer(path: str, body: dict[str, Any]) -> Answer:
    """What the provider says: to every request an answer of its own."""
    ident = secrets.token_hex(12)
    if path.endswith("/responses"):
        response = response_of(ident, body)
        if not body.get("stream"):
            return whole(response)
        message = response["output"][2]
        delta = {"item_id": message["id"], "output_index": 2, "content_index": 0, "delta": "hello", "logprobs": []}
        return frames(
            [
                {"type": "response.created", "sequence_number": 0, "response": {**response, "output": []}},
                {"type": "response.output_item.added", "sequence_number": 1, "output_index": 2, "item": message},
                {"type": "response.output_text.delta", "sequence_number": 2, **delta},
                {"type": "response.output_item.done", "sequence_number": 3, "output_index": 2, "item": message},
                {"type": "response.completed", "sequence_number": 4, "response": response},
            ]
        )
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    if path.endswith("/chat/completions"):
        audio = {"id": f"audio_{ident}", "data": "", "expires_at": 9, "transcript": "hello"}
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": None, "audio": audio},
            "finish_reason": "stop",
        }
        shape = {"id": "c1", "created": 1, "model": "m", "object": "chat.completion"}
        return whole({**shape, "usage": usage, "choices": [choice]})
    return whole(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "redacted_thinking", "data": f"E{ident}"}, {"type": "text", "text": "hello"}],
            "stop_reason": "end_turn",
            "container": {"id": f"container_{ident}", "expires_at": "2027-01-01T00:00:00Z"},
            "usage": {"input_tokens": 7, "output_tokens": 5},
        }
    )


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(answer) as made:
        yield made


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[list[Gateway]]:
    """The first one, and one that was started after it with a new master key."""
    folder = tmp_path_factory.mktemp("ids")
    with ExitStack() as stack:
        store = stack.enter_context(running(Server(folder / "store", free_ports(1)[0])))
        found = []
        for name, key in (("one", MASTER_KEY), ("two", OTHER_MASTER_KEY)):
            gateway = Gateway(
                folder / name, provider.url, extra={"REDIS_URL": store.url}, models=MODELS, master_key=key
            )
            stack.callback(gateway.stop)
            found.append(gateway.start())
        yield found


class User:
    """A user of a tier, and OpenAI's client for it with a key of its own."""

    def __init__(self, gateways: list[Gateway], tier: str = "all-models") -> None:
        self.gateways = gateways
        self.name = f"user-{secrets.token_hex(6)}"
        with gateways[0].client() as http:
            assert http.post("/user/new", json={"user_id": self.name, "tier": tier}).status_code == 200
            self.key = http.post("/key/generate", json={"user_id": self.name}).json()["key"]

    def at(self, number: int = 0) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.gateways[number].url}/v1", api_key=self.key, max_retries=0)

    def ask(self, number: int = 0, **fields: Any) -> Any:
        return self.at(number).responses.create(**{"model": OPENAI, "input": "hi", **fields})

    def post(self, path: str, **body: Any) -> httpx.Response:
        with self.gateways[0].client(self.key) as http:
            return http.post(path, json={"model": OPENAI, **body})

    def requests(self) -> int:
        """How many were counted today."""
        with self.gateways[0].client() as http:
            limits = http.get("/user/limits", params={"user_id": self.name}).json()["limits"]
        return int(next(limit["used"] for limit in limits if limit["limit"] == "requests-day"))


@pytest.fixture
def ann(gateways: list[Gateway]) -> User:
    return User(gateways)


@pytest.fixture
def bob(gateways: list[Gateway]) -> User:
    return User(gateways)


def ids_in(value: Any) -> set[str]:
    """Everything in an answer that ends as the provider's ids do, or goes on after that."""
    if isinstance(value, str):
        prefixes = ("resp_", "rs_", "msg_", "ci_", "cntr_", "cfile_", "conv_", "gAAAA", "encitem_", "litellm_enc")
        return {value} if value.startswith(prefixes) else set()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set[str]().union(*map(ids_in, inner))


@pytest.mark.parametrize("number", [0, 1], ids=["the instance", "another instance with another master key"])
def test_a_user_goes_on_with_their_own_answer_at(number: int, ann: User, provider: Provider) -> None:
    first = ann.ask()
    second = ann.ask(number, previous_response_id=first.id)
    asked = provider.asked[-1][1]["previous_response_id"]
    assert asked.startswith("resp_")
    assert len(asked) == len("resp_") + 24
    assert second.previous_response_id
    assert ann.ask(number, previous_response_id=second.previous_response_id).id
    assert provider.asked[-1][1]["previous_response_id"] == asked


def test_an_answer_is_gone_on_with_where_it_is_kept(ann: User, provider: Provider) -> None:
    """Of several deployments of one model, the one that made it."""
    first = ann.ask(model=PAIR)
    made_at = provider.asked[-1][0]
    before = len(provider.asked)
    for _ in range(8):
        ann.ask(model=PAIR, previous_response_id=first.id)
    assert [path for path, _ in provider.asked[before:]] == [made_at] * 8


@pytest.mark.parametrize("number", [0, 1], ids=["the instance", "another instance with another master key"])
def test_a_user_sends_their_own_items_again_at(number: int, ann: User, provider: Provider) -> None:
    """As SDKs for agents do: the output of an answer becomes the input of the next request."""
    given = [item.model_dump(exclude_none=True) for item in ann.ask().output]
    again = ann.ask(number, input=[*given, {"role": "user", "content": "and?"}])
    assert again.id
    sent = provider.asked[-1][1]["input"]
    ident = sent[0]["id"].removeprefix("rs_")
    assert [item.get("id") for item in sent] == [f"rs_{ident}", f"ci_{ident}", f"msg_{ident}", None]
    assert sent[0]["encrypted_content"] == f"gAAAA{ident}"
    assert sent[1]["container_id"] == f"cntr_{ident}"
    assert sent[2]["content"][0]["annotations"][0]["file_id"] == f"cfile_{ident}"


def test_a_stream_gives_the_same_ids_in_all_its_events_and_they_work(ann: User, provider: Provider) -> None:
    events = [event.model_dump() for event in ann.ask(stream=True)]
    kinds = {event["type"]: event for event in events}
    final = kinds["response.completed"]["response"]
    assert kinds["response.created"]["response"]["id"] == final["id"]
    message = final["output"][2]["id"]
    assert message == kinds["response.output_text.delta"]["item_id"] == kinds["response.output_item.done"]["item"]["id"]
    assert ann.ask(previous_response_id=final["id"]).id
    assert ann.ask(input=[{"type": "item_reference", "id": message}]).id
    assert provider.asked[-1][1]["input"][0]["id"].removeprefix("msg_").isalnum()


def test_no_answer_has_an_id_that_another_user_would_get_too(ann: User, bob: User, provider: Provider) -> None:
    ident = "0" * 24
    provider.answer = lambda path, body: whole(response_of(ident, {"conversation": "c"}))
    try:
        own, others = (ids_in(user.ask().model_dump()) for user in (ann, bob))
    finally:
        provider.answer = answer
    assert len(own) == len(others) == 8
    assert not own & others


def item(**fields: Any) -> dict[str, Any]:
    return {"input": [fields, {"role": "user", "content": "hi"}]}


def part(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [fields]}]}


# Wherever an id can stand: the route, and the body with it.
HELLO: list[Any] = [{"role": "user", "content": "hi"}]
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
PLACES: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "previous_response_id": (RESPONSES, lambda i: {"previous_response_id": i}),
    "conversation": (RESPONSES, lambda i: {"conversation": i}),
    "conversation.id": (RESPONSES, lambda i: {"conversation": {"id": i}}),
    "prompt.id": (RESPONSES, lambda i: {"prompt": {"id": i}}),
    "a file among a prompt's variables": (
        RESPONSES, lambda i: {"prompt": {"id": i, "variables": {"f": {"type": "input_file", "file_id": i}}}}
    ),
    "item_reference": (RESPONSES, lambda i: item(type="item_reference", id=i)),
    "a bare id": (RESPONSES, lambda i: item(id=i)),
    "reasoning": (RESPONSES, lambda i: item(type="reasoning", id=i, summary=[])),
    "encrypted reasoning": (RESPONSES, lambda i: item(type="reasoning", summary=[], encrypted_content=i)),
    "an image that was made": (RESPONSES, lambda i: item(type="image_generation_call", id=i)),
    "an approval": (RESPONSES, lambda i: item(type="mcp_approval_response", approval_request_id=i, approve=True)),
    "input_file": (RESPONSES, lambda i: part(type="input_file", file_id=i)),
    "input_image": (RESPONSES, lambda i: part(type="input_image", file_id=i, detail="auto")),
    "a file in a tool's output": (
        RESPONSES,
        lambda i: item(type="function_call_output", call_id="c", output=[{"type": "input_file", "file_id": i}]),
    ),
    "a container of a call": (
        RESPONSES,
        lambda i: item(type="code_interpreter_call", id=None, code="1", container_id=i, outputs=[]),
    ),
    "vector_store_ids": (RESPONSES, lambda i: {"tools": [{"type": "file_search", "vector_store_ids": [i]}]}),
    "a tool's container": (RESPONSES, lambda i: {"tools": [{"type": "code_interpreter", "container": i}]}),
    "a tool's files": (
        RESPONSES,
        lambda i: {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [i]}}]},
    ),
    "a file of a chat": (
        CHAT, lambda i: {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": i}}]}]}
    ),
    "spoken before": (
        CHAT, lambda i: {"messages": [{"role": "assistant", "audio": {"id": i}}, {"role": "user", "content": "hi"}]}
    ),
    "a voice": (CHAT, lambda i: {"messages": [{"role": "user", "content": "hi"}], "modalities": ["text", "audio"],
                                 "audio": {"format": "wav", "voice": {"id": i}}}),
    "a container of Anthropic's": (MESSAGES, lambda i: {"container": i}),
    "a container with skills": (MESSAGES, lambda i: {"container": {"id": i, "skills": []}}),
    "a document of Anthropic's": (
        MESSAGES,
        lambda i: {"messages": [{"role": "user", "content": [
            {"type": "document", "source": {"type": "file", "file_id": i}}]}]},
    ),
    "redacted thinking": (
        MESSAGES,
        lambda i: {"messages": [{"role": "assistant", "content": [{"type": "redacted_thinking", "data": i}]},
                                {"role": "user", "content": "hi"}]},
    ),
    "a file kept under a URL": (
        CHAT,
        lambda i: {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {
            "url": f"https://generativelanguage.googleapis.com/v1beta/files/{i}"}}]}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_an_id_that_was_not_given_to_a_user_is_404_and_no_provider_hears_of_it(
    place: str, ann: User, bob: User, provider: Provider
) -> None:
    path, body_with = PLACES[place]
    given = str(ann.ask().id)
    before = len(provider.asked)
    tries = {
        "another's": given,
        "invented": f"file-{secrets.token_hex(12)}",
        "without its tag": given.rpartition("_own")[0] or given[:-24],
        "cut": given[:-1],
        "edited": given[:-1] + ("A" if given[-1] != "A" else "B"),
        "with a tag in front": f"{given}{given[-24:]}",
    }
    for what, ident in tries.items():
        body: dict[str, Any] = {"input": "hi"} if path == RESPONSES else {"messages": HELLO}
        if path == MESSAGES:
            body |= {"max_tokens": 50, "model": CLAUDE}
        answered = bob.post(path, **{**body, **body_with(ident)})
        assert answered.status_code == 404, (what, answered.text)
        error = answered.json()["error"]
        assert error["code"] == "object_not_found", what
        assert "was given to you" in error["message"]
        assert error["param"]
        assert ident not in answered.text
    assert len(provider.asked) == before
    assert bob.requests() == 0


def test_what_a_program_or_a_person_wrote_is_no_id(bob: User) -> None:
    schema = {"type": "object", "properties": {"file_id": {"type": "string", "default": "file-1"}}}
    arguments = {"file_id": "file-1", "input": [{"id": "msg_1"}]}
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "f", "arguments": orjson.dumps(arguments).decode()},
    }
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    messages = [
        {"role": "user", "content": '{"previous_response_id": "resp_1"}'},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"file_id": "file-1"}'},
    ]
    assert bob.post(CHAT, messages=messages, tools=[tool]).status_code == 200
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": arguments}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "file-1"}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    tools = [{"name": "f", "input_schema": schema, "input_examples": [arguments]}]
    assert bob.post(MESSAGES, model=CLAUDE, max_tokens=50, messages=messages, tools=tools).status_code == 200


def test_an_item_that_says_all_itself_goes_on_without_an_id_of_somebody_elses(
    ann: User, bob: User, provider: Provider
) -> None:
    """So that a conversation which began elsewhere, or before its user signed up, goes on."""
    message = ann.ask().output[2].model_dump(exclude_none=True)
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "id": "fo_1", "call_id": "c", "output": "{}"}
    message["content"][0]["annotations"] = []
    assert bob.ask(input=[message, call, output, {"role": "user", "id": "u_1", "content": "and?"}]).id
    assert [item.get("id") for item in provider.asked[-1][1]["input"]] == [None] * 4


def test_a_tier_may_allow_foreign_ids(gateways: list[Gateway], ann: User, provider: Provider) -> None:
    dave = User(gateways, "foreign-ids")
    others = ann.ask().id
    assert dave.ask(previous_response_id=others).id
    assert "_own" not in provider.asked[-1][1]["previous_response_id"]
    uploaded = {"type": "input_file", "file_id": "file-of-the-operator"}
    assert dave.ask(input=[{"role": "user", "content": [uploaded]}]).id
    assert provider.asked[-1][1]["input"][0]["content"][0]["file_id"] == "file-of-the-operator"
    # LiteLLM takes no request without `input`, OpenAI one with a prompt that it keeps.
    assert dave.post(RESPONSES, prompt={"id": "pmpt_of_the_operator"}).status_code == 200
    assert provider.asked[-1][1]["prompt"] == {"id": "pmpt_of_the_operator"}


def test_the_operator_may_use_all_ids_and_a_named_user_only_that_users(
    gateways: list[Gateway], ann: User, bob: User
) -> None:
    given = ann.ask().id
    body = {"model": OPENAI, "input": "hi", "previous_response_id": given}
    with gateways[0].client() as http:
        statuses = [
            http.post(RESPONSES, json=body | user).status_code for user in ({"user": ann.name}, {"user": bob.name}, {})
        ]
    assert statuses == [200, 404, 200]


def test_a_limited_tier_is_told_of_a_foreign_id_before_it_is_told_of_an_unknown_size(
    gateways: list[Gateway], ann: User
) -> None:
    given = ann.ask().id
    poor = User(gateways, "ten-thousand-tokens")
    assert poor.post(RESPONSES, input="hi", previous_response_id=given).status_code == 404
    own = poor.ask().id
    refused = poor.post(RESPONSES, input="hi", previous_response_id=own)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "previous_response_id"


def test_what_was_spoken_and_what_anthropic_keeps_work_for_their_own_user_alone(
    gateways: list[Gateway], ann: User, bob: User, provider: Provider
) -> None:
    spoken = ann.at().chat.completions.create(model=OPENAI, messages=HELLO).choices[0].message.audio
    assert spoken is not None
    messages = [{"role": "assistant", "audio": {"id": spoken.id}}, *HELLO]
    assert bob.post(CHAT, messages=messages).status_code == 404
    assert ann.post(CHAT, messages=messages).status_code == 200
    assert "_own" not in orjson.dumps(provider.asked[-1][1]).decode()

    client = anthropic.Anthropic(base_url=gateways[0].url, api_key=ann.key, max_retries=0)
    said = client.messages.create(model=CLAUDE, max_tokens=50, messages=HELLO).model_dump()
    thought = next(block for block in said["content"] if block["type"] == "redacted_thinking")
    thinking = {"messages": [{"role": "assistant", "content": [thought]}, *HELLO]}
    for more in (thinking, {"messages": HELLO, "container": said["container"]["id"]}):
        body = {"model": CLAUDE, "max_tokens": 50, **more}
        assert bob.post(MESSAGES, **body).status_code == 404
        assert ann.post(MESSAGES, **body).status_code == 200
    assert provider.asked[-1][1]["container"].startswith("container_")


def test_an_id_tells_nothing_of_its_user(ann: User, gateways: list[Gateway]) -> None:
    given = str(ann.ask().id)
    with gateways[0].client() as http:
        erased = http.delete(f"/scalix/v1/users/{ann.name}")
    assert erased.status_code == 200, erased.text
    assert ann.name not in given
    assert given.rpartition("_own")[2]
    assert len(given.rpartition("_own")[2]) == 20
