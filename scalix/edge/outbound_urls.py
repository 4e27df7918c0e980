"""URLs in a body that the gateway or a provider would fetch: public web addresses or data, nothing else.

LiteLLM fetches images and files itself for providers that take no URLs.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from scalix.domain.errors import BadRequest
from scalix.domain.requests.private_hosts import is_public_host

LONGEST_URL = 8_192
_MOST_PATH_CHARS = 200  # of a field's path in an error: every value under a long name would copy it again
# Where a content part, a source or a tool names what is to be fetched. Gemini's files come by URL under `file_id`.
_URL_FIELDS = frozenset(
    {
        *("url", "uri", "image_url", "file_url", "video_url", "audio_url", "document_url", "input_image", "file_uri"),
        *("server_url", "file_id", "file_data", "fileUri", "connector_url", "href"),
    }
)
# What a program wrote or is to write: a URL there is text.
_NOT_FETCHED = frozenset(
    {
        *("parameters", "input_schema", "json_schema", "schema", "arguments", "logit_bias", "prediction"),
        *("model", "user", "text", "thinking", "embedding"),
    }
)
# Of a tool's call or result, whose fields are the program's own.
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call"})


def check_outbound_urls(body: Mapping[str, Any]) -> None:
    """Raise `BadRequest` for the first URL in the body that is not public. Never raises anything else."""
    for path, text in _urls("", body):
        what = _wrong_with(text)
        if what:
            raise BadRequest(f"The URL in '{path}' {what}. Send a public https URL, or the data itself.", param=path)


def _urls(path: str, value: Any) -> Iterator[tuple[str, str]]:
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        path, node = stack.pop()
        path = path[:_MOST_PATH_CHARS]
        if isinstance(node, list):
            stack.extend((f"{path}[{index}]", item) for index, item in enumerate(node) if isinstance(item, list | dict))
        elif isinstance(node, dict):
            is_call = node.get("type") in _CALLS if isinstance(node.get("type"), str) else False
            for name, item in node.items():
                if isinstance(item, str):
                    if name in _URL_FIELDS:
                        yield (f"{path}.{name}" if path else name)[:_MOST_PATH_CHARS], item
                elif isinstance(item, list | dict) and name not in _NOT_FETCHED and not (is_call and name == "input"):
                    stack.append((f"{path}.{name}" if path else name, item))


def _wrong_with(text: str) -> str | None:
    """What is wrong with a URL, as the end of a sentence; `None` for a public one and for what is none at all."""
    head = text[:64].lstrip().lower()
    if head.startswith("data:"):
        return None
    if ":" not in head and not head.startswith(("/", "\\")):
        return None  # a file's id, or bare base64: no program takes it for an address
    if len(text) > LONGEST_URL:
        return f"is longer than {LONGEST_URL} characters"
    if not text.isprintable() or "\\" in text or " " in text:
        return "holds a character that no URL has"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is malformed"
    if parts.scheme not in ("https", "http"):
        return "is neither https nor data"
    if parts.username is not None or parts.password is not None:
        return "holds a user name"
    if not host or "%" in host or not is_public_host(host):
        return "does not lead to a public host"
    return None
