"""An answer of the Responses API is the same whichever engine asks for it, and so is what the provider is asked.

One gateway has a model twice: asked by us, and by LiteLLM. What differs stands in `DIFFERENT`, with its reason.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.e2e.api_types import EVENTS, events_of, faults
from tests.e2e.complete_provider import EVENT_STREAM
from tests.e2e.gateways import Gateway
from tests.e2e.response_answers import ANSWERS, Call, answered, calls
from tests.e2e.scripted_provider import Answer, Provider, scripted
from tests.e2e.test_who_is_to_blame import Caller

pytestmark = pytest.mark.timeout(300)  # the answers to all calls are fetched by whichever test is first
ENGINES = ("direct", "litellm")
_AT_ONCE = 6
GOES_ON = "goes on"
_RESPONSE = re.compile(r"resp_[\w+/=-]+")
_NOW = re.compile(r'(?<="completed_at":)(?!170000000)\d+')  # where the provider has not said it
_OF_THIS_CALL = re.compile(r"(?:direct|litellm)-model|_own[\w-]{20}")

# The call, the path to what differs, and the reason.
DIFFERENT: tuple[tuple[str, str, str], ...] = (
    ("no total .*", r".*\.usage\.total_tokens", "LiteLLM leaves the sum out"),
    ("(?:bare|no object) .*", r".*\.object", "LiteLLM leaves it out"),
    ("no id .*", r".*\.id", "LiteLLM leaves it out"),
    ("no time stream", r".*\.created_at", "LiteLLM leaves it out"),
    ("no time whole", ".*", "LiteLLM fails on it"),
    ("time as a fraction stream", ".*", "LiteLLM fails on it"),
    ("output as null whole", ".*", "to LiteLLM that is an empty answer, to us none"),
    ("(?:no usage|usage .*) stream", r"response\.completed#0\.response\.usage", "LiteLLM states a count of its own"),
)


class Answers:
    """Both engines' answers to each call, as they came, with what they cost and what the provider was asked."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.calls = calls()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = list(pool.map(self._ask, [(call, engine) for call in self.calls for engine in ENGINES]))
        self.direct, self.litellm = found[::2], found[1::2]

    def _ask(self, one: tuple[Call, str]) -> tuple[httpx.Response, tuple[int, int]]:
        call, engine = one
        caller = Caller(self._http)
        answer = caller.ask(f"{engine}-model", path="/v1/responses", **call.body())
        return answer, caller.used()

    def differing(self) -> Iterator[tuple[str, str, Any]]:
        """The call, the path to the difference, and both values."""
        for call, (ours, our_charge), (theirs, their_charge) in zip(self.calls, self.direct, self.litellm, strict=True):
            one, other = {**told(ours), "charge": our_charge}, {**told(theirs), "charge": their_charge}
            for path, values in _differing(one, other, ""):
                yield call.name, path, values


def told(answer: httpx.Response) -> dict[str, Any]:
    """What an answer says, and each event of a stream by its place among those of its type."""
    text = _NOW.sub("0", _RESPONSE.sub("resp", _OF_THIS_CALL.sub("#", answer.text)))
    streamed = "text/event-stream" in answer.headers["content-type"]
    said: dict[str, Any] = {"status": answer.status_code, "ends": streamed and text.rstrip().endswith("[DONE]")}
    for _, value in events_of(text) if streamed else [("", json.loads(text))]:
        (value.get("error") or {}).get("scalix", {}).pop("request_id", None) if isinstance(
            value.get("error"), dict
        ) else None
        kind = value.get("type", "answer")
        said[f"{kind}#{sum(name.startswith(f'{kind}#') for name in said)}"] = value
    return said


def _differing(one: Any, other: Any, at: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in dict.fromkeys((*one, *other)):
            yield from _differing(one.get(name), other.get(name), f"{at}.{name}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (ours, theirs) in enumerate(zip(one, other, strict=True)):
            yield from _differing(ours, theirs, f"{at}[{index}]")
    elif one != other:
        yield at, (one, other)


HUNG_UP = {engine: threading.Event() for engine in ENGINES}


def goes_on(engine: str, body: dict[str, Any]) -> Iterator[bytes]:
    """Sound events up to the first text, and then signs of life until nobody reads them."""
    try:
        yield from list(ANSWERS["sound"](body).pieces)[:11]
        while not HUNG_UP[engine].wait(0.05):
            yield b": still here\n\n"
    finally:
        HUNG_UP[engine].set()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    def answer(path: str, body: dict[str, Any]) -> Answer:
        engine = path.split("/")[1]
        return Answer(200, goes_on(engine, body), EVENT_STREAM) if body["input"] == GOES_ON else answered(path, body)

    with scripted(answer) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    models = [
        {
            "model_name": f"{engine}-model",
            "litellm_params": {
                "model": "openai/scripted",
                "api_base": f"{provider.url}/{engine}/v1",
                "api_key": "${TEST_PROVIDER_KEY}",
            },
            "model_info": {"max_output_tokens": 4096, "engine": engine},
        }
        for engine in ENGINES
    ]
    prices = {str(model["model_name"]): {"input_usd_per_million": 1, "output_usd_per_million": 1} for model in models}
    section = {"retries": {"same_model": 1}, "prices": {"models": prices}}
    gateway = Gateway(tmp_path_factory.mktemp("both"), provider.url, section=section, models=models).start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def answers(gateway: Gateway) -> Iterator[Answers]:
    with gateway.client() as http:
        yield Answers(http)


def test_answers_are_the_same_but_for_what_is_listed(answers: Answers) -> None:
    unexplained = [
        found
        for found in answers.differing()
        if not any(re.fullmatch(call, found[0]) and re.fullmatch(path, found[1]) for call, path, _ in DIFFERENT)
    ]
    assert unexplained == []


def test_each_difference_that_is_listed_is_there(answers: Answers) -> None:
    found = [(call, path) for call, path, _ in answers.differing()]
    unused = [
        reason
        for call, path, reason in DIFFERENT
        if not any(re.fullmatch(call, one) and re.fullmatch(path, at) for one, at in found)
    ]
    assert unused == []


def test_each_answer_is_one_of_openais(answers: Answers) -> None:
    wrong: list[Any] = []
    for call, (answer, _) in zip(answers.calls, answers.direct, strict=True):
        if answer.status_code != 200:
            continue
        if "event-stream" not in answer.headers["content-type"]:
            wrong += [(call.name, fault) for fault in faults("Response", answer.json())]
            Response.model_validate(answer.json(), strict=True)
            continue
        for _, value in events_of(answer.text):
            if value["type"] in EVENTS and value["type"] != "error":
                wrong += [(call.name, fault) for fault in faults(EVENTS[value["type"]], value)]
                TypeAdapter(ResponseStreamEvent).validate_python(value)
    assert wrong == []


def test_nothing_of_the_operators_account_reaches_a_client(answers: Answers) -> None:
    secret = re.compile(r"0\.75|750000|is_byok|Parasail|req_1|10\.0\.0\.7|cost|provider-model|127\.0\.0\.1|canary")
    told_of = [
        (call.name, secret.findall(answer.text))
        for both in (answers.direct, answers.litellm)
        for call, (answer, _) in zip(answers.calls, both, strict=True)
    ]
    assert [one for one in told_of if one[1]] == []


def test_the_provider_is_asked_the_same(answers: Answers, provider: Provider) -> None:
    def asked(engine: str) -> list[str]:
        bodies = [{**body, "user": ""} for path, body in provider.asked if path == f"/{engine}/v1/responses"]
        return sorted({json.dumps(body, sort_keys=True) for body in bodies})

    assert asked("direct") == asked("litellm")
    heads = [
        (path, {name for name in head if name != "connection"})
        for head, (path, _) in zip(provider.heads, provider.asked, strict=True)
    ]
    names = [{frozenset(head) for path, head in heads if path.startswith(f"/{engine}/")} for engine in ENGINES]
    assert names[0] == names[1]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_one_engine_is_gone_on_from_by_the_other(
    gateway: Gateway, provider: Provider, stream: bool
) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.master_key, max_retries=0)
    for first, second in (ENGINES, ENGINES[::-1]):
        if stream:
            with client.responses.stream(model=f"{first}-model", input="sound") as events:
                ident = events.get_final_response().id
        else:
            ident = client.responses.create(model=f"{first}-model", input="sound").id
        client.responses.create(model=f"{second}-model", input="sound", previous_response_id=ident)
        path, body = provider.asked[-1]
        assert (path, body["previous_response_id"]) == (f"/{second}/v1/responses", "resp_1")


def test_a_client_that_leaves_a_stream_pays_for_what_it_was_given_and_the_provider_is_hung_up_on(
    gateway: Gateway, provider: Provider
) -> None:
    charged = []
    with gateway.client() as http:
        for engine in ENGINES:
            caller = Caller(http)
            body = {"model": f"{engine}-model", "user": caller.name, "input": GOES_ON, "stream": True}
            with http.stream("POST", "/v1/responses", json=body) as answer:
                next(line for line in answer.iter_lines() if "output_text.delta" in line)
            assert HUNG_UP[engine].wait(20)
            until_s = time.monotonic() + 20
            while not (used := caller.used())[1] and time.monotonic() < until_s:
                time.sleep(0.05)
            charged.append(used)
    assert [requests for requests, _ in charged] == [1, 1]
    assert min(tokens for _, tokens in charged) > 0  # with what may have been thought unseen by then
