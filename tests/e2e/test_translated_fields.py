"""What is said in one format comes through to clients of another, or stands in a list with the reason why it does not:
every block of Anthropic's types on OpenAI's routes, and every field of OpenAI's messages on Anthropic's and on
`/v1/responses`."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from anthropic.types import ContentBlock
from openai.types.chat import ChatCompletionMessage

from tests.e2e.described_rig import BY_CHAT, CLAUDE, OPENAI, http, provider
from tests.e2e.scripted_provider import Answer, Provider
from tests.e2e.sdk_samples import fields, leaves, members, objects
from tests.e2e.test_strict_messages import of_chat, of_claude

__all__ = ["http", "provider"]

Body = dict[str, Any]
ROUTES = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
_USER = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
# What does not come through: by route and part the beginning of what is lost, and why.
_RESULT = ("content.tool_use_id", "LiteLLM has the result as an item of its own, and not by the call's id")
_SETS = ("content.toolset_name", "OpenAI's APIs have no sets of tools")
_UPLOADS = ("content.file_id", "OpenAI's APIs have no file of a container in an answer")
_SEARCHES = ("content.", "OpenAI's APIs have no search of tools that the provider does")
_SOUND = ("audio.", "LiteLLM carries no sound to this API, which has none for text models")
_OLD_CALL = ("function_call.", "OpenAI's old way to call, which LiteLLM does not carry to other APIs")
LOST: dict[tuple[str, str], tuple[str, str]] = {
    ("chat", "ToolUseBlock"): _SETS,
    ("responses", "ToolUseBlock"): _SETS,
    ("responses", "TextBlock"): ("content.citations.", "LiteLLM does not carry citations to this API"),
    ("responses", "WebSearchToolResultBlock"): _RESULT,
    ("responses", "WebFetchToolResultBlock"): _RESULT,
    ("responses", "CodeExecutionToolResultBlock"): _RESULT,
    ("responses", "BashCodeExecutionToolResultBlock"): _RESULT,
    ("responses", "TextEditorCodeExecutionToolResultBlock"): ("content.", "LiteLLM does not carry it to this API"),
    ("chat", "ToolSearchToolResultBlock"): _SEARCHES,
    ("responses", "ToolSearchToolResultBlock"): _SEARCHES,
    ("chat", "ContainerUploadBlock"): _UPLOADS,
    ("responses", "ContainerUploadBlock"): _UPLOADS,
    ("messages", "annotations"): ("annotations.", "Anthropic's citations are of its own documents and searches"),
    ("messages", "audio"): _SOUND,
    ("responses", "audio"): _SOUND,
    ("messages", "function_call"): _OLD_CALL,
    ("responses", "function_call"): _OLD_CALL,
    ("responses", "tool_calls of custom"): ("tool_calls.custom.", "LiteLLM knows functions only, of chat completions"),
}


def cases() -> Iterator[tuple[str, str, str, Any]]:
    """Which model is asked on which route, the part that it says, and that part."""
    for kind in members(ContentBlock):
        for route in ("chat", "responses"):
            yield CLAUDE, route, kind.__name__, objects(kind, "content")[0]
    said = {name: values[0] for name, values in fields(ChatCompletionMessage, but={"role", "tool_calls"}).items()}
    calls = {call["type"]: [call] for call in fields(ChatCompletionMessage)["tool_calls"][0]}
    for model, route in ((OPENAI, "messages"), (BY_CHAT, "responses")):
        for name, value in said.items():
            yield model, route, name, {"content": "hello", name: value}
        for kind, value in calls.items():
            if (route, kind) != ("messages", "custom"):  # which no client of that API can have asked for
                yield model, route, f"tool_calls of {kind}", {"content": "hello", "tool_calls": value}


ALL = list(cases())


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("model", "route", "name", "part"), ALL, ids=[f"{model}-{route}-{name}" for model, route, name, _ in ALL]
)
def test_what_is_said_in_one_format_comes_through_in_another(
    http: httpx.Client, provider: Provider, model: str, route: str, name: str, part: Any, streamed: bool
) -> None:
    answer = of_part(model, part, streamed=streamed)
    provider.answer = lambda path, body: answer
    asked = {"model": model, "stream": streamed, **({"input": "hi"} if route == "responses" else _USER)}
    got = http.post(ROUTES[route], json=asked)
    assert got.status_code == 200, got.text
    begins = ("content.", f"{name.partition(' ')[0]}.")
    texts = {value for _, value in leaves(part) if isinstance(value, str) and value.startswith(begins)}
    said = {text for text in texts if text != "tool_calls.id"}  # ids are of the API that is spoken
    text = got.text.replace('\\"', '"')
    missing = {value for value in said if value not in text}
    beginning, _ = LOST.get((route, name), ("nothing", ""))
    assert {value for value in missing if not value.startswith(beginning)} == set()
    assert missing or beginning == "nothing"  # what comes through now is lost no more


def of_part(model: str, part: Any, *, streamed: bool) -> Answer:
    if model == CLAUDE:
        return of_claude([part, {"type": "text", "text": "hello", "citations": None}], "end_turn", streamed=streamed)
    return of_chat(part, "tool_calls" if "tool_calls" in part else "stop", streamed=streamed)
