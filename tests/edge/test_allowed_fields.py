"""The lists of body fields against the SDKs' own types, and against what LiteLLM takes for itself."""

import subprocess
import sys
from typing import Any

import pytest

from scalix.domain.errors import BadRequest
from scalix.domain.requests.control_fields import is_control_field
from scalix.domain.requests.routes import Route
from scalix.edge.allowed_fields import ANTHROPIC_FIELDS, allowed_fields, check_fields

# They choose another model, price, place, account or protocol version.
REFUSED = frozenset(
    {
        "betas",
        "billing_policy",
        "compaction",
        "diagnostics",
        "fallback_credit_token",
        "fallbacks",
        "inference_geo",
        "speed",
        "thread",
        "user_profile_id",
        "workspace_id",
    }
)
# Of Anthropic's API, though the SDK's types no longer have them.
OLDER = {"output_format", "temperature", "top_k", "top_p"}


def test_anthropics_list_is_the_sdks_without_what_was_left_out_on_purpose() -> None:
    from anthropic.types import message_create_params
    from anthropic.types.beta import message_create_params as beta_params

    known: set[str] = set()
    for module in (message_create_params, beta_params):
        for name, kind in vars(module).items():
            if name.startswith("MessageCreateParams") and hasattr(kind, "__required_keys__"):
                known |= kind.__required_keys__ | kind.__optional_keys__
    assert known | OLDER == ANTHROPIC_FIELDS | REFUSED
    assert not ANTHROPIC_FIELDS & REFUSED


def test_what_litellm_takes_for_itself_can_be_no_extra_field_and_is_on_no_list() -> None:
    script = "from litellm.types.utils import all_litellm_params as p; print('\\n'.join(sorted(set(p))))"
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    own = set(done.stdout.split())
    assert len(own) > 50
    assert sorted(name for name in own if not is_control_field(name)) == []
    for route in Route:
        # LiteLLM's own by name, but of the providers' APIs by meaning; `metadata` is dropped on the way.
        listed = allowed_fields(route) & own
        assert listed <= {"metadata", "messages", "input", "prompt", "model", "user", "stream", "mcp_servers"}, listed


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize(
    "field",
    [
        *("api_base", "api_key", "base_url", "mock_response", "fallbacks", "no-log", "extra_body", "extra_headers"),
        *("extra_query", "input_cost_per_token", "litellm_metadata", "user_config", "proxy_server_request", "tags"),
        *("custom_llm_provider", "num_retries", "guardrails", "caching", "cache", "model_list", "", "\u0000"),
    ],
)
def test_a_field_that_steers_is_a_400_that_names_it_on_every_route(route: Route, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_fields(route, {"model": "x", field: None})
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"stream_options": {"include_usage": True, "api_base": "http://x"}}, "stream_options.api_base"),
        ({"tools": [{"type": "function"}, {"type": "advisor_20260301", "model": "gpt-4"}]}, "tools[1].type"),
        ({"tools": [{"type": "web_search", "api_key": "k"}]}, "tools[0].api_key"),
        ({"tools": [{"type": "mcp", "server_url": "litellm_proxy/mcp/x"}]}, "tools[0].server_url"),
        ({"tools": [{"type": "litellm_skill"}]}, "tools[0].type"),
    ],
)
def test_a_field_that_steers_from_within_is_named_by_its_path(body: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_fields(Route.CHAT, body)
    assert caught.value.param == named


def test_an_extra_field_is_let_in_where_the_operator_allows_it() -> None:
    check_fields(Route.CHAT, {"model": "x", "chat_template_kwargs": {}}, ("chat_template_kwargs",))
    with pytest.raises(BadRequest):
        check_fields(Route.CHAT, {"model": "x", "chat_template_kwargs": {}, "api_base": 1}, ("chat_template_kwargs",))


@pytest.mark.parametrize("value", [True, "yes", 1, {}])
def test_what_would_go_on_unseen_is_refused_on_every_tier(value: object) -> None:
    with pytest.raises(BadRequest) as refused:
        check_fields(Route.RESPONSES, {"model": "m", "input": "hi", "background": value})
    assert refused.value.param == "background"
    for harmless in (None, False):
        check_fields(Route.RESPONSES, {"model": "m", "input": "hi", "background": harmless})
