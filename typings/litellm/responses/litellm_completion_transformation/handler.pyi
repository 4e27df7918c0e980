from typing import Any

LiteLLMCompletionStreamingIterator: Any
