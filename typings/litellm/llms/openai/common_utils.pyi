from typing import Any

import httpx

class BaseOpenAILLM:
    @staticmethod
    def get_async_http_client(shared_session: Any = None) -> httpx.AsyncClient | None: ...
