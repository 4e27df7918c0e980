from typing import Any

class VertexGeminiConfig:
    @staticmethod
    def _calculate_usage(completion_response: Any) -> Any: ...
