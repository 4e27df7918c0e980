from enum import Enum
from typing import Any, ClassVar

from pydantic import BaseModel

all_litellm_params: list[str]

class CallTypes(Enum):
    acompletion = "acompletion"
    completion = "completion"

LlmProviders: Any

class Delta(BaseModel):
    def __init__(
        self,
        content: Any = None,
        role: Any = None,
        tool_calls: Any = None,
        reasoning_content: Any = None,
        thinking_blocks: Any = None,
    ) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

class ModelResponse(BaseModel):
    usage: Any
    def __init__(self, **fields: Any) -> None: ...

class ModelResponseStream(BaseModel):
    usage: Any
    def __init__(self, choices: Any = None, id: Any = None, created: Any = None, **fields: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

class StreamingChoices(BaseModel):
    __pydantic_setattr_handlers__: ClassVar[dict[str, Any]]
    def __init__(
        self, finish_reason: Any = None, index: Any = 0, delta: Delta | None = None, **fields: Any
    ) -> None: ...

class Usage(BaseModel):
    def __init__(self, prompt_tokens: Any = None, completion_tokens: Any = None, **fields: Any) -> None: ...
