from typing import Any

class ResponseAPILoggingUtils:
    @staticmethod
    def transform_response_api_usage_to_chat_usage(usage_input: Any) -> Any: ...

class ResponsesAPIRequestUtils:
    @staticmethod
    def decode_container_id_to_original(container_id: str) -> str: ...
    @staticmethod
    def decode_responses_api_response_id(response_id: str) -> dict[str, Any]: ...
    @staticmethod
    def update_responses_api_response_id_with_model_id(
        responses_api_response: dict[str, Any], custom_llm_provider: str | None, litellm_metadata: dict[str, Any]
    ) -> dict[str, Any]: ...
