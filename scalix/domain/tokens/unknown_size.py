"""Which field of a request brings in a prompt whose size the body does not show."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.requests.routes import Route

# Fields that stand for something kept elsewhere, on any route: a provider may heed one that another route defines.
# An empty object is one too: of the web's search it takes all settings as they are.
_REFERENCES = (
    "previous_response_id",
    "conversation",
    "container",
    "mcp_servers",
    "web_search_options",
    "search_parameters",
    "vector_store_ids",
    "cached_content",
    "cachedContent",
    "plugins",
    "prompt_id",
    "assistant_id",
    "thread_id",
)
_NONE: tuple[Any, ...] = (None, False, "", [])
_PARTS_WITH_MEDIA = frozenset(
    {
        *("file", "input_file", "document", "container_upload", "input_audio", "audio", "audio_url"),
        *("image", "image_url", "input_image", "computer_screenshot"),
    }
)
_ELSEWHERE = ("file_id", "file_url", "item_id")
_VIDEO = frozenset({"video", "video_url", "input_video"})
# What the client runs, or what is found among the tools of the request itself: Codex's and OpenAI's of its kind.
_CLIENTS_OWN = frozenset({"local_shell", "tool_search", "apply_patch"})
_NAMESPACE = "namespace"
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_")  # Anthropic's, run by the client, with a documented size
_PAYLOADS = ("file", "source", "image_url", "audio", "input_audio", "audio_url", "video_url")
_URLS = ("image_url", "audio_url", "video_url", "file_url")
_DECLARATIONS = frozenset({"name", "function", "custom"})
_OF_OWN_TOOLS = _DECLARATIONS | {
    "type",
    "description",
    "parameters",
    "input_schema",
    "strict",
    "cache_control",
    "execution",
}
_LONGEST_SCHEME = 64
_LONGEST_PATH = 200
_LONGEST_KEY = 50
# Where further parts are. A tool call's own `input` or `arguments` is text, whatever its keys.
_NESTED = ("content", "output", "source", "tool_result", "images")


def unknown_size_field(route: Route, body: Mapping[str, Any]) -> str | None:
    """The first field, as a path such as `messages[0].content[1].file.file_id`, that hides a part of the prompt.

    These are references to what a provider keeps (responses, conversations, prompts, files, containers, caches), tools
    that the provider runs, media by URL, and video. `None` if the whole prompt is in `body`. Never raises on any
    JSON value.
    """
    for name in _REFERENCES:
        if body.get(name) not in _NONE:
            return name
    if body.get("background") is True:
        return "background"
    if route is Route.RESPONSES and isinstance(body.get("prompt"), dict):
        return "prompt.id"
    for name in ("tools", "functions"):
        tools = body.get(name)
        for index, tool in enumerate(tools if isinstance(tools, list) else ()):
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
    """Where in `body` this very text is, such as `messages[0].content[1].file.file_data`."""
    stack: list[tuple[Any, Any]] = [(body, None)]
    while stack:
        node, way = stack.pop()
        if isinstance(node, str) and node == text:
            return _written(way)
        if isinstance(node, dict):
            stack.extend((value, (way, f".{key[:_LONGEST_KEY]}")) for key, value in node.items())
        elif isinstance(node, list):
            stack.extend((value, (way, f"[{index}]")) for index, value in enumerate(node))
    return ""


def _written(way: Any) -> str:
    steps: list[str] = []
    while way is not None:
        way, step = way
        steps.append(step)
    return "".join(reversed(steps))[1 : _LONGEST_PATH + 1]


def _is_hosted(tool: Any) -> bool:
    """Whether the provider runs the tool, and so puts what it finds into the prompt. LiteLLM takes one of Gemini's by
    its only key, whatever its type says."""
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    if kind == _NAMESPACE:  # a group of tools, which are as they are alone
        tools = tool.get("tools")
        return not isinstance(tools, list) or any(map(_is_hosted, tools))
    if isinstance(kind, str) and kind in _CLIENTS_OWN:
        return not tool.keys() <= _OF_OWN_TOOLS
    if kind not in (None, "function", "custom") and not (isinstance(kind, str) and kind.startswith(_CLIENT_TOOLS)):
        return True
    return not tool or (not tool.keys() <= _OF_OWN_TOOLS and _DECLARATIONS.isdisjoint(tool))


def _compacts(management: Any) -> bool:
    """Whether the provider is to shorten the conversation, for which it reads and writes it once more."""
    edits = management.get("edits") if isinstance(management, dict) else management
    kinds = [edit.get("type") for edit in edits if isinstance(edit, dict)] if isinstance(edits, list) else []
    return any(isinstance(kind, str) and kind.startswith("compact") for kind in kinds)


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
    if isinstance(kind, str) and kind in _VIDEO:
        return "type"
    if not isinstance(kind, str) or kind not in _PARTS_WITH_MEDIA:
        return _reference_of_message(part) or _media_of_no_kind(part)
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


def _reference_of_message(part: dict[str, Any]) -> str | None:
    """An earlier spoken answer, which chat completions name by its id."""
    audio = part.get("audio")
    return "audio.id" if isinstance(audio, dict) and audio.get("id") else None


def _media_of_no_kind(part: dict[str, Any]) -> str | None:
    """Media in a part of another kind, or of none, such as an image that an assistant has made."""
    for name in _URLS:
        held = part.get(name)
        if _is_remote(held):
            return name
        if isinstance(held, dict) and _is_remote(held.get("url")):
            return f"{name}.url"
    return None


def _is_remote(url: Any) -> bool:
    """Whether `url` says where something is, instead of holding it. What a provider finds there is of any kind: sound
    and documents are taken under an image's name too."""
    return isinstance(url, str) and "://" in url[:_LONGEST_SCHEME] and url[:5].lower() != "data:"
