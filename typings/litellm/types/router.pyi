from typing import TypedDict

from pydantic import BaseModel

class GenericLiteLLMParams(BaseModel): ...
class LiteLLM_Params(BaseModel): ...  # noqa: N801
class LiteLLMParamsTypedDict(TypedDict): ...
