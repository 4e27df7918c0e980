from collections.abc import Iterable
from typing import Any

_CLIENT_MOCK_CONTROL_FIELDS: Iterable[str]

def _key_or_team_allows_client_mock_response(user_api_key_dict: Any) -> bool: ...
