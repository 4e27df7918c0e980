from typing import Any

PROXY_HOOKS: dict[str, Any]
