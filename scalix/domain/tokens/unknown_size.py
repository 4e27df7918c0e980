"""Finds the field of a request that hides a part of the prompt, whose size is then unknown."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.json_values import listed, mapped, objects, word
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.media_tokens import MEDIA_KINDS, TYPE_OF_ANSWERS

# Fields that refer to something kept elsewhere. They count on every route, as a provider may know one of another route.
# An empty object counts too: it asks for a web search with default settings.
_REFERENCES = (
    *("previous_response_id", "conversation", "container", "mcp_servers", "web_search_options", "search_parameters"),
    *("vector_store_ids", "cached_content", "cachedContent", "plugins", "prompt_id", "assistant_id", "thread_id"),
)
_NONE: tuple[Any, ...] = (None, False, "", [])
_PARTS_WITH_MEDIA = MEDIA_KINDS - {TYPE_OF_ANSWERS} | {"container_upload"}
_ELSEWHERE = ("file_id", "file_url", "item_id")
_VIDEO = frozenset({"video", "video_url", "input_video"})
# Tools of Codex and OpenAI that the client runs, or that search the tools of the request itself.
_CLIENTS_OWN = frozenset({"local_shell", "tool_search", "apply_patch"})
_NAMESPACE = "namespace"
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_")  # Anthropic's tools that the client runs; their size is documented
_PAYLOADS = ("file", "source", "image_url", "audio", "input_audio", "audio_url", "video_url")
_URLS = ("image_url", "audio_url", "video_url", "file_url")
_DECLARATIONS = frozenset({"name", "function", "custom"})
_OF_OWN_TOOLS = _DECLARATIONS | {
    *("type", "description", "parameters", "input_schema", "strict", "cache_control", "execution"),
}
_LONGEST_SCHEME = 64
_LONGEST_PATH = 200
_LONGEST_KEY = 50
# The fields with further parts. The `input` or `arguments` of a tool call is text, whatever its keys.
_NESTED = ("content", "output", "source", "tool_result", "images")


def unknown_size_field(route: Route, body: Mapping[str, Any]) -> str | None:
    """The first field, as a path such as `messages[0].content[1].file.file_id`, that hides a part of the prompt.

    Such fields are references to what a provider keeps (responses, conversations, prompts, files, containers, caches),
    tools that the provider runs, media by URL, and video. `None` if the whole prompt is in `body`. Accepts any JSON
    value.
    """
    for name in _REFERENCES:
        if body.get(name) not in _NONE:
            return name
    if body.get("background") is True:
        return "background"
    if route is Route.RESPONSES and isinstance(body.get("prompt"), dict):
        return "prompt.id"
    for name in ("tools", "functions"):
        for index, tool in enumerate(listed(body.get(name))):
            if _is_hosted(tool):
                return f"{name}[{index}]"
    if _compacts(body.get("context_management")):
        return "context_management"
    for name in ("messages", "input", "system"):
        for path, part in _parts(name, body.get(name)):
            if (field := _reference_in(part)) is not None:
                return f"{path}.{field}"
    return None


def path_of(body: Mapping[str, Any], text: str) -> str:
    """The path of this text in `body`, such as `messages[0].content[1].file.file_data`; empty if it is not there."""
    stack: list[tuple[Any, Any]] = [(body, None)]
    while stack:
        node, way = stack.pop()
        if isinstance(node, str) and node == text:
            steps: list[str] = []
            while way is not None:
                way, step = way
                steps.append(step)
            return "".join(reversed(steps))[1 : _LONGEST_PATH + 1]
        if isinstance(node, dict):
            stack.extend((value, (way, f".{key[:_LONGEST_KEY]}")) for key, value in node.items())
        elif isinstance(node, list):
            stack.extend((value, (way, f"[{index}]")) for index, value in enumerate(node))
    return ""


def _is_hosted(tool: Any) -> bool:
    """Whether the provider runs the tool, and adds the result to the prompt. LiteLLM recognises Gemini's tools by their
    only key, whatever the type is."""
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    if kind == _NAMESPACE:  # a group of tools
        tools = tool.get("tools")
        return not isinstance(tools, list) or any(map(_is_hosted, tools))
    if word(kind) in _CLIENTS_OWN:
        return not tool.keys() <= _OF_OWN_TOOLS
    if kind not in (None, "function", "custom") and not word(kind).startswith(_CLIENT_TOOLS):
        return True
    return not tool or (not tool.keys() <= _OF_OWN_TOOLS and _DECLARATIONS.isdisjoint(tool))


def _compacts(management: Any) -> bool:
    """Whether the provider may compact the conversation, for which it reads and writes it once more."""
    edits = management.get("edits") if isinstance(management, dict) else management
    return any(word(edit.get("type")).startswith("compact") for edit in objects(edits))


def _parts(name: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every message and content part under `value`, in the order of the body."""
    stack = [(name, value)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, list):
            stack.extend((f"{path}[{index}]", node[index]) for index in range(len(node) - 1, -1, -1))
        elif isinstance(node, dict):
            yield path, node
            stack.extend((f"{path}.{key}", node[key]) for key in _NESTED if isinstance(node.get(key), list | dict))


def _reference_in(part: dict[str, Any]) -> str | None:
    kind = part.get("type")
    if kind == "item_reference" or (kind is None and part.keys() == {"id"}):
        return "id"
    if word(kind) in _VIDEO:
        return "type"
    if word(kind) not in _PARTS_WITH_MEDIA:
        return _media_of_no_kind(part)
    payloads = [("", part)]
    payloads += [(f"{key}.", part[key]) for key in _PAYLOADS if isinstance(part.get(key), dict)]
    for prefix, payload in payloads:
        for name in _ELSEWHERE:
            if payload.get(name):
                return prefix + name
        for name in ("url", "data", "file_data", *_URLS):
            if _is_remote(payload.get(name)):
                return prefix + name
    return None


def _media_of_no_kind(part: dict[str, Any]) -> str | None:
    """Media in a part of another kind, or of none: an earlier spoken answer by its id, an image by an assistant."""
    if mapped(part.get("audio")).get("id"):
        return "audio.id"
    for name in _URLS:
        held = part.get(name)
        if _is_remote(held):
            return name
        if _is_remote(mapped(held).get("url")):
            return f"{name}.url"
    return None


def _is_remote(url: Any) -> bool:
    """Whether `url` is a link, and no data URL. A provider may find any kind of media there, whatever the field."""
    return isinstance(url, str) and "://" in url[:_LONGEST_SCHEME] and url[:5].lower() != "data:"
