from typing import Any

class Logging:
    response_cost_calculator: Any
    _response_cost_calculator: Any
    _build_standard_logging_payload: Any
