from typing import Any

AnthropicStreamWrapper: Any

class AnthropicAdapter:
    def __init__(self) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
