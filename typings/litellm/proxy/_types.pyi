from typing import Any

from pydantic import BaseModel

class ConfigGeneralSettings(BaseModel): ...

class GenerateKeyResponse(BaseModel):
    def __getattr__(self, name: str) -> Any: ...

class ProxyException(Exception):
    def __init__(self, message: str, type: str, param: str | None, code: Any = None, **options: Any) -> None: ...

class UserAPIKeyAuth(BaseModel):
    metadata: dict[str, Any]
    authenticated_by_custom_auth: bool
    request_route: str | None
    def __init__(self, **fields: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
