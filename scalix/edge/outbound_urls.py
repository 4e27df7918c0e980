"""URLs in a body that the gateway or a provider would fetch: public web addresses or data, nothing else.

LiteLLM fetches images and files itself for providers that take no URLs.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import re2

from scalix.domain.errors import BadRequest
from scalix.domain.policy import Model
from scalix.domain.requests.private_hosts import LONGEST_NAME, is_public_host

LONGEST_URL = 8_192
_LONGEST_PATH = 200
_LONGEST_AUTHORITY = LONGEST_NAME + len(".:65535")
_WEB_ADDRESS = re2.compile(r"(?i)https?://([^/?#]*)")
_LONGEST_DATA_HEAD = 256
_DATA_HEAD = re2.compile(r"(?i)data:[a-z0-9!#$&^_.+/;=\"*-]*")
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
# Who embeds texts alone, whatever they look like. Others read an object where a text is its address.
_EMBED_TEXTS_ONLY = frozenset({"openai", "azure", "mistral", "ollama", "hosted_vllm", "voyage", "openrouter"})
_GEMINI_FILES = r"https?://generativelanguage\.googleapis\.com/[a-z0-9]*/?"
_OBJECT = re2.compile(r"(?i)[\pC\pZ\s]*(?:(?:gs|s3)://|(?:" + _GEMINI_FILES + ")?files/)")
_KEPT_FILE = re2.compile(r"(?:https://generativelanguage\.googleapis\.com/v1beta/)?files/[\w-]+")
# Of a tool's call or result, whose fields are the program's own.
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use", "function_call", "custom_tool_call"})


def check_outbound_urls(body: Mapping[str, Any]) -> None:
    """Raise `BadRequest` for the first URL in the body that is not public. Never raises anything else."""
    for path, text in _urls(body):
        what = _wrong_with(text)
        if what:
            raise BadRequest(f"The URL in '{path}' {what}. Send a public https URL, or the data itself.", param=path)


def check_embedded(texts: Any, models: Iterable[Model], *, may_use_all: bool) -> None:
    """Raise `BadRequest` for a text to embed that a provider would read an object for, with the operator's account.

    `may_use_all`: whoever asks may name every file that a provider keeps.
    """
    if all(model.provider in _EMBED_TEXTS_ONLY for model in models):
        return
    stack: list[tuple[str, Any]] = [("input", texts)]
    while stack:
        path, node = stack.pop()
        if isinstance(node, list):
            stack.extend((f"{path}[{index}]", item) for index, item in enumerate(node) if not isinstance(item, int))
        elif isinstance(node, dict):
            stack.extend((_longer(path, f".{name[:_LONGEST_PATH]}"), item) for name, item in node.items())
        elif isinstance(node, str) and _OBJECT.match(node) and not (may_use_all and _KEPT_FILE.fullmatch(node)):
            message = (
                f"The text in '{path}' begins like the address of an object in the operator's storage, and this model "
                "would embed the object. Put a word before it."
            )
            raise BadRequest(message, param=path)


def _urls(value: Any) -> Iterator[tuple[str, str]]:
    """The texts where URLs are, each with its path."""
    stack: list[tuple[str, Any, bool]] = [("", value, False)]
    while stack:
        path, node, is_url = stack.pop()
        if isinstance(node, str):
            yield path, node
        elif isinstance(node, list):
            stack.extend(
                (_longer(path, f"[{index}]"), item, is_url)
                for index, item in enumerate(node)
                if isinstance(item, list | dict) or (is_url and isinstance(item, str))
            )
        elif isinstance(node, dict):
            is_call = node.get("type") in _CALLS if isinstance(node.get("type"), str) else False
            for name, item in node.items():
                if isinstance(item, str):
                    if name in _URL_FIELDS:
                        yield _longer(path, f".{name}"), item
                elif isinstance(item, list | dict) and name not in _NOT_FETCHED and not (is_call and name == "input"):
                    stack.append((_longer(path, f".{name[:_LONGEST_PATH]}"), item, name in _URL_FIELDS))


def _longer(path: str, step: str) -> str:
    # A name of megabytes would be copied for everything within.
    return (path + step if path else step.removeprefix("."))[:_LONGEST_PATH]


def _wrong_with(text: str) -> str | None:
    """What is wrong with a URL, as the end of a sentence; `None` for a public one and for what is none at all.

    It is judged whole and as it is: parsers differ in what they skip at its ends and within it, and some look for an
    address anywhere in it.
    """
    if text[:5].lower() == "data:":
        head, comma, data = text.partition(",")
        if not comma or not _DATA_HEAD.fullmatch(head[:_LONGEST_DATA_HEAD]) or len(head) > _LONGEST_DATA_HEAD:
            return "is malformed"
        return "holds a second URL" if "://" in data else None
    first = text[:1]
    if ":" not in text and first not in ("/", "\\", " ") and first.isprintable():
        return None  # a file's id, or bare base64: no program takes it for an address
    if len(text) > LONGEST_URL:
        return f"is longer than {LONGEST_URL} characters"
    if not text.isprintable() or "\\" in text or " " in text:
        return "holds a character that no URL has"
    found = _WEB_ADDRESS.match(text)
    if found is None:
        return "is neither https nor data"
    authority = found[1]
    if "@" in authority:
        return "holds a user name"
    if len(authority) > _LONGEST_AUTHORITY:
        return "does not lead to a public host"
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is malformed"
    if not host or "%" in host or not is_public_host(host):
        return "does not lead to a public host"
    return None
