from typing import Any

pinned_billing_time: Any
