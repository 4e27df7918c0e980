from typing import Any

import httpx

class LiteLLMAiohttpTransport(httpx.AsyncBaseTransport):
    _ssl_verify: Any
