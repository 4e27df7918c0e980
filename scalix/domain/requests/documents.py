"""Documents and search results of Anthropic's messages, for models of other formats, which know none: their texts go in
as texts, and one that holds no text is refused. LiteLLM would leave both out without a word."""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.requests.routes import Route

_KINDS = frozenset({"document", "search_result"})


def needs_texts(route: Route, provider_model: str) -> bool:
    """Whether a model, such as `openai/gpt-5`, is asked in another format than the one that has documents."""
    return route is Route.MESSAGES and "claude" not in provider_model and not provider_model.startswith("anthropic/")


def refusal_of_documents(model: str, body: Mapping[str, Any]) -> BadRequest | None:
    """The error for a request with a document that is no text; `None` if there is none."""
    for path, blocks in _contents(body):
        for index, block in enumerate(blocks):
            if _is_document(block) and _text(block) is None:
                at = f"{path}[{index}]"
                message = (
                    f"'{model}' takes no documents but those of text, and {at} is another. Send its text, or use a "
                    "model of Anthropic's."
                )
                return BadRequest(message, param=at)
    return None


def with_texts(body: dict[str, Any]) -> dict[str, Any]:
    """The request with each document as a text. What is changed is a copy."""
    if not any(map(_is_document, (block for _, blocks in _contents(body) for block in blocks))):
        return body
    return {**body, "messages": [_with_texts(message) for message in body["messages"]]}


def _with_texts(holder: Any) -> Any:
    content = holder.get("content") if isinstance(holder, dict) else None
    if not isinstance(content, list):
        return holder
    return {**holder, "content": [_converted(block) for block in content]}


def _converted(block: Any) -> Any:
    if _is_document(block):
        return {"type": "text", "text": _text(block) or ""}
    return _with_texts(block) if isinstance(block, dict) and block.get("type") == "tool_result" else block


def _contents(body: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The lists of blocks in a request's messages, and in its results of tools, with where they stand."""
    messages = body.get("messages")
    for position, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            continue
        path = f"messages[{position}].content"
        yield path, content
        for index, block in enumerate(content):
            inner = block.get("content") if isinstance(block, dict) and block.get("type") == "tool_result" else None
            if isinstance(inner, list):
                yield f"{path}[{index}].content", inner


def _is_document(block: Any) -> bool:
    kind = block.get("type") if isinstance(block, dict) else None
    return isinstance(kind, str) and kind in _KINDS


def _text(block: dict[str, Any]) -> str | None:
    """A document's text under its title; `None` if it has none, or something else beside it."""
    source = block.get("source")
    held: Any = block.get("content")
    if block["type"] == "document":
        given = source if isinstance(source, dict) else {}
        held = given.get("data") if given.get("type") == "text" else given.get("content")
        source = None
    if isinstance(held, list):
        texts = [part.get("text") if isinstance(part, dict) else None for part in held]
        held = "\n".join(texts) if texts and all(isinstance(text, str) for text in texts) else None  # type: ignore[arg-type]
    if not isinstance(held, str):
        return None
    head = [text for text in (block.get("title"), source, block.get("context")) if isinstance(text, str) and text]
    return "\n".join([*head, held])
