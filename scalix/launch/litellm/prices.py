"""Which keys of a deployment are about what it costs."""

_PARTS = ("_cost", "cost_per_", "_uplift_", "tiered_pricing", "off_peak_pricing", "_per_ptu")


def is_price(name: str) -> bool:
    """Whether `name` is a price, or a part of one, by the names of LiteLLM's price map."""
    return any(part in name for part in _PARTS)
