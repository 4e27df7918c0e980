"""The lists of body fields against the SDKs' own types, and against what LiteLLM takes for itself."""

import time
from typing import Any

import pytest

from scalix.domain.errors import BadRequest
from scalix.domain.requests.control_fields import is_control_field
from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.field_lists import KINDS, OF_ANSWERS, PASSED, PASSED_WITHIN, REFUSED, TAKEN
from scalix.domain.requests.routes import Route
from scalix.edge.allowed_fields import allowed_fields, check_fields

# Of Anthropic's API, though the SDK's types no longer have them.
OLDER = {"output_format", "temperature", "top_k", "top_p"}


def test_anthropics_list_is_the_sdks_without_what_is_refused_or_taken_and_dropped() -> None:
    from anthropic.types import message_create_params
    from anthropic.types.beta import message_create_params as beta_params

    known: set[str] = set()
    for module in (message_create_params, beta_params):
        for name, kind in vars(module).items():
            if name.startswith("MessageCreateParams") and hasattr(kind, "__required_keys__"):
                known |= kind.__required_keys__ | kind.__optional_keys__
    assert (known | OLDER) - Route.MESSAGES.row.fields <= REFUSED.keys() | TAKEN.keys()
    assert known | OLDER >= Route.MESSAGES.row.fields
    assert Route.MESSAGES.row.fields.isdisjoint(TAKEN)


def test_what_litellm_takes_for_itself_can_be_no_extra_field_and_is_on_no_list() -> None:
    from litellm.types.utils import all_litellm_params

    own = set(all_litellm_params)
    assert len(own) > 50
    assert sorted(name for name in own if not is_control_field(name)) == []
    for route in Route:
        # LiteLLM's own by name, but of the providers' APIs by meaning.
        listed = allowed_fields(route) & own
        assert listed <= {"messages", "input", "prompt", "model", "user", "stream", "mcp_servers"}, listed


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize(
    "field",
    [
        *("api_base", "api_key", "base_url", "mock_response", "fallbacks", "no-log", "extra_body", "extra_headers"),
        *("extra_query", "input_cost_per_token", "litellm_metadata", "user_config", "proxy_server_request", "tags"),
        *("custom_llm_provider", "num_retries", "guardrails", "caching", "cache", "model_list"),
    ],
)
def test_a_field_that_steers_is_a_400_that_names_it_on_every_route(route: Route, field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_fields(route, {"model": "x", field: "value"})
    assert caught.value.param == field


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"stream_options": {"include_usage": True, "api_base": "http://x"}}, "stream_options.api_base"),
        ({"tools": [{"type": "function"}, {"type": "advisor_20260301", "model": "gpt-4"}]}, "tools[1].type"),
        ({"tools": [{"type": "web_search", "api_key": "k"}]}, "tools[0].api_key"),
        ({"tools": [{"type": "mcp", "server_url": "litellm_proxy/mcp/x"}]}, "tools[0].server_url"),
        ({"tools": [{"type": "litellm_skill"}]}, "tools[0].type"),
        (
            {"tools": [{"type": "namespace", "tools": [{}, {"type": "f", "api_base": "x"}]}]},
            "tools[0].tools[1].api_base",
        ),
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


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("name", [*TAKEN, "", "\u0000", "brand_new_field", "id" * 40])
def test_a_field_that_nobody_heeds_is_taken_out_and_named(route: Route, name: str) -> None:
    body = {"model": "x", "user": "u", name: {"a": 1}}
    if name in allowed_fields(route):
        return
    dropped = check_fields(route, body)
    assert body == {"model": "x", "user": "u"}
    assert str(dropped) == (name[:64].replace("\u0000", "?") or "?")


@pytest.mark.parametrize("route", Route)
def test_null_is_absent_whatever_the_field(route: Route) -> None:
    body: dict[str, Any] = {
        "model": "x",
        "stream": None,
        "nobodys": None,
        "api_base": None,
        "tools": None,
        "user": None,
    }
    assert not check_fields(route, body)
    assert body == {"model": "x"}


def test_a_number_for_a_user_and_one_point_nought_for_a_whole_number_are_read_as_meant() -> None:
    body = {"model": "x", "user": 42, "max_tokens": 5.0, "n": 2.0, "seed": 1.5, "temperature": 1.0}
    check_fields(Route.CHAT, body)
    assert body == {"model": "x", "user": "42", "max_tokens": 5, "n": 2, "seed": 1.5, "temperature": 1.0}
    assert type(body["max_tokens"]) is int
    flag = {"model": "x", "user": True}
    check_fields(Route.CHAT, flag)
    assert flag["user"] is True  # what it must be is said by the check of shapes


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("route", Route)
def test_what_would_change_what_is_counted_is_refused_with_its_reason(route: Route, name: str) -> None:
    if name in allowed_fields(route):
        return
    body = {"model": "x", name: 5}
    if not route.row.generates and name in OF_ANSWERS:
        assert str(check_fields(route, body)) == name  # there is no answer that it could bound
        return
    with pytest.raises(BadRequest) as caught:
        check_fields(route, body)
    assert caught.value.param == name
    assert "{" not in caught.value.message
    assert name in caught.value.message


NOTHING = {
    "min_tokens": 0,
    "best_of": 1,
    "length_penalty": 1.0,
    "priority": 0,
    "ignore_eos": False,
    "speed": "standard",
    "use_beam_search": False,
    "add_generation_prompt": True,
    "continue_final_message": False,
    "chat_template": "",
    "plugins": [],
    "documents": [],
    "mm_processor_kwargs": {},
    "fallbacks": [],
    "route": "",
}


@pytest.mark.parametrize("route", Route)
def test_a_refused_field_that_asks_for_nothing_is_dropped_and_named(route: Route) -> None:
    body = {"model": "x", **NOTHING}
    known = allowed_fields(route) & NOTHING.keys()
    dropped = check_fields(route, body)
    assert body.keys() == {"model"} | known
    assert set(str(dropped).split(", ")) == NOTHING.keys() - known
    for name in sorted(NOTHING.keys() - known):
        with pytest.raises(BadRequest, match=name):
            check_fields(route, {"model": "x", name: NOTHING[name]}, strict=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("best_of", 2), ("ignore_eos", True), ("min_tokens", 1), ("add_generation_prompt", False), ("speed", "fast")],
)
def test_and_one_that_asks_for_something_is_not(name: str, value: object) -> None:
    with pytest.raises(BadRequest, match=name):
        check_fields(Route.CHAT, {"model": "x", name: value})


@pytest.mark.parametrize("route", Route)
def test_with_strict_bodies_any_unknown_field_is_a_400_but_those_that_clients_send_by_themselves(route: Route) -> None:
    with pytest.raises(BadRequest) as caught:
        check_fields(route, {"model": "x", "brand_new_field": 1}, strict=True)
    assert caught.value.param == "brand_new_field"
    check_fields(route, {"model": "x", "client_metadata": {}}, strict=True)
    with pytest.raises(BadRequest):
        check_fields(Route.CHAT, {"model": "x", "stream_options": {"new": 1}}, strict=True)


VALUES: dict[str, Any] = {
    "number": 1,
    "whole": 1,
    "flag": True,
    "text": "a",
    "texts": ["a"],
    "wholes": [1],
    "schema": {"type": "object"},
}


def test_every_kind_of_value_has_a_sample_here() -> None:
    assert VALUES.keys() == KINDS.keys()


@pytest.mark.parametrize(
    "name", [*PASSED, *(f"{outer}.{name}" for outer in PASSED_WITHIN for name in PASSED_WITHIN[outer])]
)
def test_a_field_of_the_shipped_list_passes_with_a_value_of_its_kind_only(name: str) -> None:
    outer, _, inner = name.partition(".")
    kind, reason = PASSED_WITHIN[outer][inner] if inner else PASSED[name]
    assert reason
    for route in (one for one in Route if one.row.passes_extras):
        body: dict[str, Any] = {"model": "x", outer: {inner: VALUES[kind]} if inner else VALUES[kind]}
        given = {**body}
        assert not check_fields(route, given)
        assert given == body
        if outer in allowed_fields(route) and outer != "stream_options":
            continue
        wrong = 1 if kind == "schema" else [{"x": None}]
        with pytest.raises(BadRequest) as caught:
            check_fields(route, {"model": "x", outer: {inner: wrong} if inner else wrong})
        assert caught.value.param == name
    if outer not in allowed_fields(Route.MESSAGES):  # Anthropic's API has none of them
        assert str(check_fields(Route.MESSAGES, {"model": "x", outer: {}})) == outer


def test_of_an_object_only_what_is_listed_passes() -> None:
    body = {"model": "x", "chat_template_kwargs": {"enable_thinking": False, "tools": "x"}, "provider": {"new": 1}}
    dropped = check_fields(Route.CHAT, body)
    assert body == {"model": "x", "chat_template_kwargs": {"enable_thinking": False}}
    assert set(str(dropped).split(", ")) == {"chat_template_kwargs.tools", "provider.new"}
    assert str(check_fields(Route.CHAT, {"model": "x", "provider": "openrouter"})) == "provider"


def test_at_most_twenty_names_are_told_each_short_and_printable() -> None:
    names = [f"f{number:02d}" for number in range(30)]
    told = str(check_fields(Route.CHAT, {"model": "x", **dict.fromkeys(names, 1)}))
    assert told == ", ".join([*names[:20], "+10"])
    assert str(Dropped(["a,b\r\nset-cookie: x\u00e9", "y" * 100])) == f"a?b??set-cookie:?x?, {'y' * 64}"


@pytest.mark.parametrize(
    "names",
    [
        [f"field{number}" for number in range(90_000)],
        ["q" * 1_000 + str(number) for number in range(10_000)],
        ["\u00e9\n" * 300 + str(number) for number in range(10_000)],
    ],
    ids=["many", "long", "lines"],
)
def test_tens_of_thousands_of_unknown_fields_are_looked_through_at_once(names: list[str]) -> None:
    body = {"model": "x", **dict.fromkeys(names, 1)}
    began_s = time.perf_counter()
    dropped = check_fields(Route.CHAT, body)
    assert time.perf_counter() - began_s < 2  # one by one, by a pattern that backtracks, it was many
    assert body == {"model": "x"}
    assert str(dropped).endswith(f"+{len(names) - 20}")
