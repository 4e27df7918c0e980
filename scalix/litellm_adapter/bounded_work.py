"""Work that LiteLLM does on a client's texts without a bound, and with everybody else waiting, given one."""

import functools
import re
from collections.abc import Callable
from typing import Any

from scalix.domain.redaction.credentials import without_credentials
from scalix.domain.tokens.text_tokens import text_tokens
from scalix.litellm_adapter.seam_checks import replace

LONGEST_PATTERN = 1_000  # characters
LONGEST_ERROR_TEXT = 8_192  # characters, at either end
LONGEST_MESSAGE = 4_096
AT_ONCE_CHARACTERS = 64 * 1024
# Where LiteLLM counts what a provider has not said, for its answer. The edge charges by its own count.
_COUNTERS = ("litellm", "litellm.utils", "litellm.main", "litellm.litellm_core_utils.streaming_chunk_builder_utils")


def bound_work() -> None:
    """Put bounded functions in the place of LiteLLM's own."""
    redaction = "litellm.litellm_core_utils.secret_redaction"
    replace("litellm.litellm_core_utils.prompt_templates.common_utils:_is_not_python_regex", lambda own: _no_pattern)
    replace(f"{redaction}:_SECRET_RE", lambda own: _Credentials())
    replace(f"{redaction}:_python_redact_internal_details", _cut_first)
    _shorten_messages()
    for module in _COUNTERS:
        replace(f"{module}:token_counter", _bounded_counter)


def _no_pattern(pattern: str) -> bool:
    """Whether Python can't read a schema's pattern, which is then left out. Compiling takes 5 µs a character, and for a
    class such as `(?i)[\\x00-\\uffff]` a tenth of a second."""
    if len(pattern) > LONGEST_PATTERN:
        return True
    try:
        re._parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return True
    return False


class _Credentials:
    """In place of LiteLLM's pattern of secrets, which takes 5 s for an error of 400 kB that quotes its client."""

    def sub(self, replacement: str, text: str) -> str:
        if len(text) > 2 * LONGEST_ERROR_TEXT:
            text = f"{text[:LONGEST_ERROR_TEXT]} … {text[-LONGEST_ERROR_TEXT:]}"
        return without_credentials(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _cut_first(own: Callable[[str], str]) -> Callable[[str], str]:
    """LiteLLM's search for hosts and paths in a message, which takes time with the square of a text such as `a.a.a.`
    that the message repeats."""
    return lambda value: own(_cut(value))


def _shorten_messages() -> None:
    """LiteLLM's errors repeat what a client or a provider wrote, megabytes of it, and some twenty patterns are then
    looked for in each, several times."""
    from litellm import exceptions
    from litellm.llms.base_llm.chat.transformation import BaseLLMException

    kinds: list[Any] = [kind for kind in vars(exceptions).values() if isinstance(kind, type)]
    for kind in (BaseLLMException, *kinds):
        own = vars(kind).get("__init__")
        if (
            own is not None
            and issubclass(kind, Exception)
            and kind.__module__.startswith("litellm.")
            and not hasattr(own, "__wrapped__")
        ):
            kind.__init__ = _with_short_texts(own)


def _with_short_texts(own: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(own)
    def made(self: Any, *args: Any, **options: Any) -> None:
        own(self, *map(_cut, args), **{name: _cut(value) for name, value in options.items()})

    return made


def _cut(value: Any) -> Any:
    return value[:LONGEST_MESSAGE] + "..." if isinstance(value, str) and len(value) > 2 * LONGEST_MESSAGE else value


def _bounded_counter(own: Callable[..., int]) -> Callable[..., int]:
    """LiteLLM's counter for what takes less than 20 ms, our estimate for what does not."""

    def count(
        model: str = "", custom_tokenizer: Any = None, text: Any = None, messages: Any = None, **options: Any
    ) -> int:
        counted = messages if text is None else text
        found = _texts(counted, AT_ONCE_CHARACTERS)
        if found is None:
            # It would fetch images by their URLs, with everybody waiting.
            options["use_default_image_token_count"] = True
            return own(model=model, custom_tokenizer=custom_tokenizer, text=text, messages=messages, **options)
        return sum(map(text_tokens, found))

    return count


def _texts(value: Any, most: int) -> list[str] | None:
    """The texts in `value`; `None` if they and what holds them are few and short."""
    found: list[str] = []
    size, stack = 0, [value]
    while stack:
        node = stack.pop()
        size += 50  # what a message costs beside its characters
        if isinstance(node, str):
            found.append(node)
            size += len(node)
        elif isinstance(node, list | tuple):
            stack.extend(node)
        elif isinstance(node, dict):
            stack.extend(node.values())
    return found if size > most else None
