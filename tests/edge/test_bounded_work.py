"""No request, and no answer of a provider, stops the event loop for long: a corpus of hostile ones, each at two sizes,
at a running gateway. With `-s` the longest pause of each group is printed; `make soak` goes up to the largest body.
"""

import json
from collections import defaultdict
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalix.edge.bodies import MAX_BODY_BYTES
from tests.edge.bounded_corpus import CHAT, CORPUS, EMBED, MESS, MODELS, RESP, TEXT, TEXTS, Entry, user
from tests.edge.bounded_rig import Told, Watched, watched

LONGEST_PAUSE_S = 0.5
ROOM_BYTES = 4_096  # for what stands around what grows
ACCEPTED = {
    *("tools: 1,000", "tools: 1,000, Anthropic", "tools: 1,000, messages"),
    *("schemas: deep", "schemas: doubling up to the bound", "schemas: wide, Gemini"),
    *("messages: 5,000", "messages: 5,000, Gemini", "messages: 5,000, Anthropic", "messages: 5,000 on messages"),
    *("messages: 5,000 items", "messages: 5,000 items, Gemini", "embeddings: tokens", "URLs: data", "texts: prompt"),
    *("texts: english", "texts: blanks", "texts: combining marks", "texts: emoji", "texts: english to Anthropic"),
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("bounded"), MODELS) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def longest() -> Iterator[dict[str, float]]:
    """The longest pause by group, in seconds."""
    pauses: dict[str, float] = defaultdict(float)
    yield pauses
    for group, pause_s in pauses.items():
        print(f"\n| {group} | {sum(entry.group == group for entry in CORPUS)} | {pause_s:.2f} s |", end="")


def check(gateway: Watched, longest: dict[str, float], entry: Entry, size: int) -> None:
    last = None
    for bytes_ in (size // 4, size):
        one = (entry.body(bytes_), entry.told(bytes_), entry.headers(bytes_))
        if one == last:
            continue  # it does not grow any more
        last = one
        status, pause_s = gateway.send(entry.path, *one)
        longest[entry.group] = max(longest[entry.group], pause_s)
        assert pause_s <= LONGEST_PAUSE_S
        assert status != 500
        if f"{entry.group}: {entry.name}" in ACCEPTED:
            assert status == 200


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: f"{entry.group}: {entry.name}")
def test_nothing_that_is_sent_stops_the_loop_for_long(
    gateway: Watched, longest: dict[str, float], entry: Entry
) -> None:
    check(gateway, longest, entry, MAX_BODY_BYTES // 4)


@pytest.mark.parametrize("text", ["What do you think of it? ", "-", "思"], ids=["words", "dashes", "Chinese"])
def test_a_prompt_that_has_to_be_counted_stops_the_loop_for_no_longer(gateway: Watched, text: str) -> None:
    """Of a caller who has 10,000 tokens a day; as long as it may be without being refused by its length alone."""
    with gateway.gateway.client() as http:
        assert http.post("/user/new", json={"user_id": text, "tier": "ten-thousand-tokens"}).status_code == 200
    body = {"model": "o", "user": text, **user(text * (1_250_000 // len(text)))}
    status, pause_s = gateway.send(CHAT, json.dumps(body).encode(), Told())
    assert pause_s <= LONGEST_PAUSE_S
    assert status == 429


@pytest.mark.soak
@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: f"{entry.group}: {entry.name}")
def test_nothing_that_is_sent_stops_the_loop_for_long_up_to_the_largest_body(
    gateway: Watched, longest: dict[str, float], entry: Entry
) -> None:
    check(gateway, longest, entry, MAX_BODY_BYTES - ROOM_BYTES)


def test_a_body_of_16_mib_is_taken(gateway: Watched) -> None:
    body = Entry("", "", CHAT, "o", lambda size: {"messages": [{"role": "user", "content": "x" * size}]})
    raw = body.body(MAX_BODY_BYTES - len(body.body(0)))
    assert len(raw) == MAX_BODY_BYTES
    status, pause_s = gateway.send(CHAT, raw, Told())
    assert status == 200
    assert pause_s <= LONGEST_PAUSE_S


FIELDS = {CHAT: "messages", MESS: "messages", RESP: "input", TEXT: "prompt", EMBED: "input"}
TYPES = ("text", "image_url", "file", "input_audio", "tool_use", "tool_result", "thinking", "input_text", "document")
leaves = st.sampled_from([*TEXTS]).map(lambda name: TEXTS[name](40_000)) | st.sampled_from(
    [
        None,
        True,
        -1,
        1.5,
        2**63,
        "",
        "x",
        "https://example.com/a.png",
        "data:image/png;base64,AAAA",
        "#/$defs/a",
        *TYPES,
    ]
)
names = st.sampled_from(
    [
        *("type", "text", "image_url", "url", "file", "source", "content", "role", "function", "name", "parameters"),
        *("properties", "$ref", "$defs", "anyOf", "items", "enum", "pattern", "tool_calls", "id", "arguments", "input"),
    ]
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(names, inner, max_size=4)
        | st.tuples(inner, st.integers(1, 2_000)).map(
            lambda pair: [pair[0]] * (pair[1] if len(str(pair[0])) < 200 else 2)
        )
    ),
    max_leaves=8,
)
extras = ("tools", "functions", "response_format", "tool_choice", "stop", "system", "instructions", "text", "reasoning")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    path=st.sampled_from(sorted(FIELDS)),
    model=st.sampled_from(sorted(MODELS)),
    content=values,
    more=st.dictionaries(st.sampled_from(extras), values, max_size=2),
    told=st.none() | values,
)
def test_what_nobody_has_thought_of_does_not_either(
    gateway: Watched, path: str, model: str, content: object, more: dict[str, object], told: object
) -> None:
    messages = [{"role": "user", "content": content}]
    body = {"model": model, FIELDS[path]: messages if FIELDS[path] == "messages" else content, "max_tokens": 20, **more}
    answer = Told(body=None if told is None else json.dumps(told).encode())
    status, pause_s = gateway.send(path, json.dumps(body).encode(), answer)
    assert pause_s <= LONGEST_PAUSE_S
    assert status
