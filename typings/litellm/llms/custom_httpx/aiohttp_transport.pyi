from contextlib import AbstractContextManager
from typing import Any

import aiohttp
import httpx

class LiteLLMAiohttpTransport(httpx.AsyncBaseTransport):
    _ssl_verify: Any
    def get_valid_client_session(self) -> aiohttp.ClientSession: ...
    async def _get_proxy_settings(self, request: httpx.Request) -> str | None: ...

class AiohttpResponseStream(httpx.AsyncByteStream):
    def __init__(self, aiohttp_response: aiohttp.ClientResponse) -> None: ...

def map_aiohttp_exceptions() -> AbstractContextManager[None]: ...
