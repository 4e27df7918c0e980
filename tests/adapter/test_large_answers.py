"""What is taken out of a provider's answer comes back as it was, and how much is left is counted without reading it."""

import json
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.edge.lifted_parts import put_back
from scalix.litellm_adapter.large_answers import lightened, without_vectors
from scalix.service.answers import value_counts
from scalix.service.answers.provider_errors import AnswerTooLarge
from scalix.service.answers.value_counts import LIGHT_BYTES, MOST_VALUES, check_values, has_more_values
from scalix.service.exchange.attempts import FIRST_VECTOR, Lifted

VECTOR = [round(0.001 * number - 1.5, 6) for number in range(300)]
TOKEN = {"token": 'a"[{,', "logprob": -0.1, "bytes": [97], "top_logprobs": [{"token": "\\", "logprob": -9e-05}] * 20}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('",[{}]:\\a\n') | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('",[{}:\\a'), inner),
    max_leaves=30,
)


def separators(value: Any) -> int:
    """Commas, brackets and braces of a JSON text, strings left out."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return max(1, len(value)) + sum(map(separators, inner))
    return 0


@given(value=JSON, cut=st.integers(1, 7))
def test_values_are_counted_exactly_whatever_the_strings_hold(value: Any, cut: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_counts, "LIGHT_BYTES", 0)
        patch.setattr(value_counts, "_AT_ONCE_BYTES", cut)
        text = json.dumps(value).encode()
        assert not has_more_values(text, separators(value))
        assert separators(value) == 0 or has_more_values(text, separators(value) - 1)


def test_long_texts_are_no_values() -> None:
    check_values(orjson.dumps({"choices": [{"message": {"content": 'say "hello, [you]", {' * 200_000}}]}))
    with pytest.raises(AnswerTooLarge):
        check_values(orjson.dumps([0] * (MOST_VALUES + 1)).ljust(LIGHT_BYTES + 1))


async def test_vectors_come_back_as_they_were() -> None:
    data = [{"object": "embedding", "index": index, "embedding": VECTOR} for index in range(3)]
    short, text = {"index": 3, "embedding": [0.5]}, {"index": 4, "embedding": "AAAA"}
    answer = orjson.dumps({"object": "list", "data": [*data, short, text]})
    lifted = Lifted()
    light = await without_vectors(httpx.Response(200, content=answer), lifted)
    assert [item["embedding"] for item in light.json()["data"]] == [
        *([FIRST_VECTOR + number] for number in range(3)),
        [0.5],
        "AAAA",
    ]
    # LiteLLM makes floats of all of them.
    passed = light.content.replace(b"%d]" % FIRST_VECTOR, b"%d.0]" % FIRST_VECTOR)
    assert put_back(passed, lifted) == answer


@pytest.mark.parametrize("vector", ["1,,2", "1 2", "- 3", "0.1,"])
async def test_what_only_looks_like_a_vector_stays_where_it_is(vector: str) -> None:
    answer = f'{{"data": [{{"embedding": [{vector}{" " * 300}]}}]}}'.encode()
    lifted = Lifted()
    light = await without_vectors(httpx.Response(200, content=answer), lifted)
    assert (light.content, lifted.vectors) == (answer, [])


async def test_a_number_that_is_in_place_of_no_vector_stays() -> None:
    body = orjson.dumps({"data": [{"embedding": [float(FIRST_VECTOR + 7)]}]})
    assert put_back(body, Lifted(vectors=[b"[1]"])) == body


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"index": 0, "message": {}, "logprobs": {"content": [TOKEN] * 600}}]},
        {"output": [{"type": "reasoning"}, {"content": [{"type": "output_text", "logprobs": [TOKEN] * 600}]}]},
    ],
    ids=["chat", "responses"],
)
def test_log_probabilities_come_back_as_they_were(answer: Any) -> None:
    body, lifted = orjson.dumps(answer), Lifted()
    light = lightened(body, lifted)
    assert len(light) < 500
    assert orjson.loads(put_back(light, lifted)) == answer


def test_nothing_is_taken_out_where_nobody_puts_it_back() -> None:
    body = orjson.dumps({"choices": [{"logprobs": {"content": [TOKEN] * 600}}]})
    assert lightened(body, None) == body


def test_beside_log_probabilities_there_may_be_no_more_than_else() -> None:
    for lifted in (Lifted(), None):
        with pytest.raises(AnswerTooLarge):
            lightened(orjson.dumps({"choices": [{"logprobs": {}}], "more": [0] * (MOST_VALUES + 1)}), lifted)
