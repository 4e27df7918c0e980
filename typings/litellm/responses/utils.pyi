from typing import Any

class ResponseAPILoggingUtils:
    @staticmethod
    def transform_response_api_usage_to_chat_usage(usage_input: Any) -> Any: ...

class ResponsesAPIRequestUtils:
    @staticmethod
    def decode_container_id_to_original(container_id: str) -> str: ...
    @staticmethod
    def decode_responses_api_response_id(response_id: str) -> dict[str, Any]: ...
