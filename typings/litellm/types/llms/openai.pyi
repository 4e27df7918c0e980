from typing import Any

Reasoning: Any
ResponsesAPIOptionalRequestParams: Any
