from typing import Any

app: Any
llm_model_list: list[Any] | None
llm_router: Any
shared_aiohttp_session: Any
