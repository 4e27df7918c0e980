"""An answer is the same whichever engine asks for it: text, thoughts, calls, end, usage, error and charge.

One gateway has each model twice: asked by us, and by LiteLLM. What differs stands in `tests/e2e/engine_differences.py`,
with its reason.
"""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.demo_server import DemoServer
from tests.e2e.api_types import events_of, faults
from tests.e2e.completion_answers import answered
from tests.e2e.engine_cases import CHAT, Call, calls, in_one_way
from tests.e2e.engine_differences import DIFFERENT, differences
from tests.e2e.gateways import Gateway
from tests.e2e.provider_answers import ALL
from tests.e2e.scripted_provider import scripted
from tests.e2e.test_who_is_to_blame import Caller

pytestmark = pytest.mark.timeout(300)  # the answers to all calls are fetched by whichever test is first
ENGINES = ("direct", "litellm")
# Not in `model_info`: of prices there LiteLLM has rules of its own for some providers, and would serve them.
_PRICE = {"input_usd_per_million": 1, "output_usd_per_million": 1}
_AT_ONCE = 6
CHATS = (("CreateChatCompletionResponse", ChatCompletion), ("CreateChatCompletionStreamResponse", ChatCompletionChunk))
# In chunks of texts the end is null, as OpenAI sends it, which its SDK's type does not say.
TEXTS = (("CreateCompletionResponse", Completion), ("CreateCompletionResponse", None))

Told = dict[str, Any]


class Answers:
    """Both engines' answers to each call: as they came, and what they say with what they cost."""

    def __init__(self, http: httpx.Client, made: list[Call]) -> None:
        self._http = http
        self.calls = made
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = [(call, engine) for call in self.calls for engine in ENGINES]
            found = list(pool.map(lambda one: self._ask(*one), asked))
        self.direct, self.litellm = found[::2], found[1::2]

    def _ask(self, call: Call, engine: str) -> tuple[httpx.Response, tuple[int, int]]:
        caller = Caller(self._http)
        answer = caller.ask(f"{engine}-{call.model}", call.path, **call.body())
        return answer, caller.used()

    def differing(self) -> Iterator[tuple[str, str, Any]]:
        """The call, the path to the difference, and both values."""
        for call, ours, theirs in zip(self.calls, self.direct, self.litellm, strict=True):
            for path, values in differences(*ours, *theirs):
                yield call.name, path, values


# Every answer of a provider in one way, or each in every way.
SOME, ALL_CALLS = "in one way", pytest.param("in every way", marks=pytest.mark.soak)


@pytest.fixture(scope="module", params=[SOME, ALL_CALLS])
def answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer
) -> Iterator[Answers]:
    with scripted(answered) as provider:
        models = [
            {
                "model_name": f"{engine}-{name}",
                "litellm_params": {
                    "model": f"{name.replace('demo', 'openai')}/scripted",
                    "api_base": demo_server.base_url if name == "demo" else f"{provider.url}/v1",
                    "api_key": "${TEST_PROVIDER_KEY}",
                },
                "model_info": {"max_output_tokens": 4096, "engine": engine},
            }
            for engine in ENGINES
            for name in (*ALL, "demo")
        ]
        prices = {model["model_name"]: _PRICE for model in models}
        section = {"retries": {"same_model": 1}, "prices": {"models": prices}}
        gateway = Gateway(tmp_path_factory.mktemp("both"), provider.url, section=section, models=models).start()
        with gateway.client() as http:
            yield Answers(http, in_one_way(calls()) if request.param == SOME else calls())
        gateway.stop()


def test_answers_are_the_same_but_for_what_is_listed(answers: Answers) -> None:
    unexplained = [
        found
        for found in answers.differing()
        if not any(re.fullmatch(call, found[0]) and re.fullmatch(path, found[1]) for call, path, _ in DIFFERENT)
    ]

    assert unexplained == []


@pytest.mark.parametrize("answers", [ALL_CALLS], indirect=True)
def test_each_difference_that_is_listed_is_there(answers: Answers) -> None:
    found = [(call, path) for call, path, _ in answers.differing()]
    unused = [
        reason
        for call, path, reason in DIFFERENT
        if not any(re.fullmatch(call, one) and re.fullmatch(path, at) for one, at in found)
    ]
    assert unused == []


def test_each_answer_is_one_of_openais(answers: Answers) -> None:
    wrong = []
    for call, (answer, _) in zip(answers.calls, answers.direct, strict=True):
        if answer.status_code != 200:
            continue
        streamed = "event-stream" in answer.headers["content-type"]
        values = [value for _, value in events_of(answer.text)] if streamed else [answer.json()]
        for value in values:
            described: Any = (CHATS if call.path == CHAT else TEXTS)[streamed]
            if "error" not in value:
                wrong += [(call.name, fault) for fault in faults(described[0], value)]
                if described[1] is not None:
                    described[1].model_validate(value, strict=True)
    assert wrong == []


def test_nothing_of_the_operators_account_reaches_a_client(answers: Answers) -> None:
    secret = re.compile(r"0\.75|750000|is_byok|Parasail|req_1|10\.0\.0\.7|cost|provider-model|127\.0\.0\.1")
    told = [
        (call.name, secret.findall(answer.text))
        for both in (answers.direct, answers.litellm)
        for call, (answer, _) in zip(answers.calls, both, strict=True)
    ]
    assert [one for one in told if one[1]] == []
