"""Answers and events of Anthropic's Messages API as its SDK's types have them. Objects are changed in place.

Source: https://docs.anthropic.com/en/api/messages and the types of Anthropic's SDK.
"""

from typing import Any

_PREFIX = "msg_"
_OF_OTHERS = ("chatcmpl-", "chatcmpl_", "resp_")


def complete_message(message: dict[str, Any], prompt_tokens: int) -> None:
    """Complete a message, whole or as a stream begins with it. `prompt_tokens` is the estimate, for a provider that
    says its usage at the end only."""
    given = str(message.get("id") or "")
    if not given.startswith(_PREFIX):
        message["id"] = _PREFIX + next((given.removeprefix(p) for p in _OF_OTHERS if given.startswith(p)), given)
    message.setdefault("stop_reason", None)
    message.setdefault("stop_sequence", None)
    content = message.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "thinking" and block.get("signature") is None:
            block["signature"] = ""  # of a model that signs nothing
    usage = message.get("usage")
    if isinstance(usage, dict) and not usage.get("input_tokens") and not usage.get("cache_read_input_tokens"):
        usage["input_tokens"] = prompt_tokens
