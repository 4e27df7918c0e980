"""Which field of a request brings in a prompt whose size the body does not show."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.requests.routes import Route

# Fields that stand for something kept elsewhere, on any route: a provider may heed one that another route defines.
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
_PARTS_WITH_MEDIA = frozenset(
    {"file", "input_file", "document", "image", "image_url", "input_image", "input_audio", "audio", "container_upload"}
)
_ELSEWHERE = ("file_id", "file_url", "item_id")
_VIDEO = frozenset({"video", "video_url", "input_video"})
_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_")  # Anthropic's, run by the client, with a documented size
# Gemini takes sound, video and documents under `image_url` too.
_OTHER_SUFFIXES = (
    *(".mp4", ".mov", ".avi", ".webm", ".mkv", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".m4v", ".ogv"),
    *(".mp3", ".wav", ".m4a", ".aac", ".ogg", ".opus", ".flac", ".aiff"),
    *(".pdf", ".txt", ".csv", ".md", ".json", ".xml", ".docx"),
)
_PAYLOADS = ("file", "source", "image_url", "audio", "input_audio")
# Where further parts are. A tool call's own `input` or `arguments` is text, whatever its keys.
_NESTED = ("content", "output", "source", "tool_result")


def unknown_size_field(route: Route, body: Mapping[str, Any]) -> str | None:
    """The first field, as a path such as `messages[0].content[1].file.file_id`, that hides a part of the prompt.

    These are references to what a provider keeps (responses, conversations, prompts, files, containers, caches), tools
    that the provider runs, documents by URL, and video. `None` if the whole prompt is in `body`. Never raises on any
    JSON value.
    """
    for name in _REFERENCES:
        if body.get(name):
            return name
    if body.get("background") is True:
        return "background"
    if route is Route.RESPONSES and isinstance(body.get("prompt"), dict):
        return "prompt.id"
    for name in ("tools", "functions"):
        tools = body.get(name)
        for index, tool in enumerate(tools if isinstance(tools, list) else ()):
            if name == "tools" and _is_hosted(tool):
                return f"tools[{index}]"
    for name in ("messages", "input", "system"):
        for path, part in _parts(name, body.get(name)):
            if (field := _reference_in(part)) is not None:
                return f"{path}.{field}"
    return None


def _is_hosted(tool: Any) -> bool:
    """Whether the provider runs the tool, and so puts what it finds into the prompt."""
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    if kind is None:
        return "name" not in tool and "function" not in tool
    return not isinstance(kind, str) or (kind not in ("function", "custom") and not kind.startswith(_CLIENT_TOOLS))


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
    if not isinstance(kind, str):
        return _reference_of_message(part)
    if kind in _VIDEO:
        return "type"
    if kind not in _PARTS_WITH_MEDIA:
        return _reference_of_message(part)
    payloads = [("", part)]
    payloads += [(f"{key}.", part[key]) for key in _PAYLOADS if isinstance(part.get(key), dict)]
    for prefix, payload in payloads:
        for name in _ELSEWHERE:
            if payload.get(name):
                return prefix + name
        for name in ("url", "file_data", "image_url"):
            if _is_remote_document(payload.get(name), kind, payload.get("format")):
                return prefix + name
    return None


def _reference_of_message(part: dict[str, Any]) -> str | None:
    """An earlier spoken answer, which chat completions name by its id."""
    audio = part.get("audio")
    return "audio.id" if isinstance(audio, dict) and audio.get("id") else None


def _is_remote_document(url: Any, kind: str, stated: Any) -> bool:
    """Whether `url` points to something other than an image: an image's cost is bounded, a document's is not."""
    if not isinstance(url, str) or "://" not in url[:16]:
        return False
    if kind not in ("image", "image_url", "input_image"):
        return True
    if isinstance(stated, str) and "/" in stated:
        return not stated.startswith("image/")
    path = url.partition("?")[0].partition("#")[0].lower()
    return url.startswith("gs:") or path.endswith(_OTHER_SUFFIXES) or "youtube.com/" in path or "youtu.be/" in path
