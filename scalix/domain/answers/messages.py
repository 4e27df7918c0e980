"""Completes answers and events of Anthropic's Messages API, so that they match its SDK's types. In place.

Source: https://docs.anthropic.com/en/api/messages and the types of Anthropic's SDK.
"""

from typing import Any

from scalix.domain.answers.fields import with_nulls
from scalix.domain.json_values import objects

_PREFIX = "msg_"
_OF_OTHERS = ("chatcmpl-", "chatcmpl_", "resp_")


def complete_message(message: dict[str, Any], prompt_tokens: int) -> None:
    """Complete a message, a whole one or the one that a stream begins with. `prompt_tokens` is our estimate, used where
    the provider tells its usage only at the end."""
    given = str(message.get("id") or "")
    if not given.startswith(_PREFIX):
        message["id"] = _PREFIX + next((given.removeprefix(p) for p in _OF_OTHERS if given.startswith(p)), given)
    with_nulls(message, ("stop_reason", "stop_sequence"))
    for block in objects(message.get("content")):
        if block.get("type") == "thinking" and block.get("signature") is None:
            block["signature"] = ""  # the model does not sign its thoughts
    usage = message.get("usage")
    if isinstance(usage, dict) and not usage.get("input_tokens") and not usage.get("cache_read_input_tokens"):
        usage["input_tokens"] = prompt_tokens
