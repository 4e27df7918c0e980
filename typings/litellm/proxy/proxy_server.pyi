from typing import Any

app: Any
llm_model_list: list[Any] | None
llm_router: Any
