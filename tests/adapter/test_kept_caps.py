"""A fallback may leave out what its model does not know, but never the cap on its output."""

from typing import Any

import litellm
import pytest
from litellm.exceptions import UnsupportedParamsError

from scalix.litellm_adapter.callbacks import GatewayCallbacks


async def kept(**kwargs: Any) -> dict[str, Any]:
    """The arguments as LiteLLM goes on with them."""
    given = await GatewayCallbacks().async_pre_call_deployment_hook(kwargs, "acompletion")
    assert given is not None
    return given


@pytest.mark.parametrize("model", ["openai/x", "deepseek/deepseek-chat", "gemini/gemini-pro", "anthropic/claude-x"])
@pytest.mark.parametrize("cap", ["max_tokens", "max_completion_tokens"])
async def test_where_the_cap_is_known_the_rest_may_be_left_out(model: str, cap: str) -> None:
    assert (await kept(model=model, drop_params=True, logit_bias={}, **{cap: 9}))["drop_params"] is True


@pytest.mark.parametrize(
    ("model", "cap"),
    [("zai/glm-4.6", "max_completion_tokens"), ("v0/v0-1.0-md", "max_tokens"), ("nobodys/x", "max_tokens")],
)
async def test_where_it_is_not_the_call_fails_rather_than_go_without(model: str, cap: str) -> None:
    assert (await kept(model=model, drop_params=True, **{cap: 9}))["drop_params"] is False


async def test_litellm_goes_by_that() -> None:
    """Seen from where it matters: LiteLLM itself calls the hook, and sends nothing without the cap."""
    hooks = GatewayCallbacks()
    litellm.callbacks.append(hooks)
    try:
        with pytest.raises(UnsupportedParamsError):
            await litellm.acompletion(
                "zai/glm-4.6",
                [{"role": "user", "content": "hi"}],
                api_key="none",
                api_base="http://127.0.0.1:9",
                max_completion_tokens=9,
                drop_params=True,
            )
    finally:
        litellm.callbacks.remove(hooks)
