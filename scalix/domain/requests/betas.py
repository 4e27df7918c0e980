"""Which of Anthropic's betas a client may ask for by the header `anthropic-beta`."""

from collections.abc import Mapping

# Each with the reason why it changes neither the size nor the price of a request that is counted without it.
PASSED_BETAS: Mapping[str, str] = {
    "claude-code-20250219": "names the client",
    "interleaved-thinking-2025-05-14": "thoughts between tool calls, within the same cap",
    "fine-grained-tool-streaming-2025-05-14": "arguments are streamed as they come",
    "token-efficient-tools-2025-02-19": "tool calls of fewer tokens",
    "tool-examples-2025-10-29": "examples of a tool's input, which are in the body",
    "context-management-2025-06-27": "leaves out old tool results; what is to be compacted is refused by its field",
    "mid-conversation-system-2026-04-07": "instructions among the messages, which are in the body and counted",
    "tool-search-tool-2025-10-19": "tools that are shown later, which are in the body and counted from the start",
    "advanced-tool-use-2025-11-20": "the same, and examples of inputs; what the provider runs is known by its type",
    "structured-outputs-2025-11-13": "bounds the form of the answer, within the same cap",
    "structured-outputs-2025-12-15": "bounds the form of the answer, within the same cap",
    "effort-2025-11-24": "how much is thought, within the same cap",
    "task-budgets-2026-03-13": "tells the model how long a task may become, within the same cap of each answer",
    "redact-thinking-2026-02-12": "leaves out the text of thoughts, which are counted all the same",
    "thinking-token-count-2026-05-13": "says how many of the counted tokens were thoughts",
    "prompt-caching-scope-2026-01-05": "who shares what is cached, which the body asks for and which is priced",
    "prompt-caching-2024-07-31": "caching, which the body asks for and which is priced",
    "extended-cache-ttl-2025-04-11": "caching for an hour, which the body asks for and which is priced",
    "output-128k-2025-02-19": "a larger answer, as far as the cap allows it",
    "pdfs-2024-09-25": "documents, which are in the body and counted",
}
_LONGEST_HEADER = 4_096


def split_betas(header: str) -> tuple[list[str], list[str]]:
    """The betas of a header that are passed on, and the others."""
    asked = list(dict.fromkeys(name for part in header[:_LONGEST_HEADER].split(",") if (name := part.strip())))
    return [name for name in asked if name in PASSED_BETAS], [name for name in asked if name not in PASSED_BETAS]
