"""What LiteLLM and OpenAI's SDK no longer do for each call: only for requests from the edge, with the same result."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai._types import omit
from openai._utils import async_maybe_transform, is_given
from openai.types.chat import completion_create_params
from pydantic import BaseModel

from scalix.domain.limits.quota import Receipt
from scalix.litellm_adapter import trimmed_calls
from scalix.service.exchange.exchanges import CURRENT, Exchange
from scalix.service.identity.callers import THE_OPERATOR
from tests.exchanges import made_exchange

PARAMS = completion_create_params.CompletionCreateParamsNonStreaming
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": json_values},
        optional={"tool_calls": json_values, "name": st.text(max_size=5), "unknown": json_values},
    ),
    max_size=4,
)


def exchange() -> Exchange:
    """An exchange in flight, as the edge makes one."""
    return made_exchange(receipt=Receipt("r-1", str(THE_OPERATOR.subject), 0, 0, 0, False), streamed=False)


@given(messages=messages, rest=st.dictionaries(st.sampled_from(["tools", "stop", "user", "n", "x"]), json_values))
def test_a_body_of_json_goes_out_as_openais_sdk_would_have_sent_it(messages: Any, rest: dict[str, Any]) -> None:
    short = trimmed_calls._rewriting(async_maybe_transform, is_given)
    body = {"model": "m", "messages": messages, "temperature": omit, **rest}

    async def both() -> tuple[Any, Any]:
        CURRENT.set(exchange())
        return await short(dict(body), PARAMS), await async_maybe_transform(dict(body), PARAMS)

    mine, sdks = asyncio.run(both())
    assert mine == sdks


async def test_what_is_no_json_is_left_to_the_sdk() -> None:
    class Message(BaseModel):
        role: str
        content: str

    CURRENT.set(exchange())
    try:
        short = trimmed_calls._rewriting(async_maybe_transform, is_given)
        sent = await short({"model": "m", "messages": [Message(role="user", content="hi")]}, PARAMS)
    finally:
        CURRENT.set(None)
    assert sent["messages"] == [{"role": "user", "content": "hi"}]
