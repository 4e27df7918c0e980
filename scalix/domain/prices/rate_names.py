"""The rates that a price may have, by their names in LiteLLM's price map (`model_prices_and_context_window.json`)."""

INPUT, OUTPUT = "input_cost_per_token", "output_cost_per_token"
CACHE_READ, CACHE_WRITE = "cache_read_input_token_cost", "cache_creation_input_token_cost"
CACHE_WRITE_1H = "cache_creation_input_token_cost_above_1hr"
CACHE_READ_AUDIO = "cache_read_input_audio_token_cost"
REASONING = "output_cost_per_reasoning_token"
AUDIO_INPUT, AUDIO_OUTPUT = "input_cost_per_audio_token", "output_cost_per_audio_token"
IMAGE_INPUT, IMAGE_OUTPUT = "input_cost_per_image_token", "output_cost_per_image_token"
IMAGE, REQUEST = "input_cost_per_image", "input_cost_per_request"
ALL = (
    *(INPUT, OUTPUT, CACHE_WRITE_1H, CACHE_READ, CACHE_WRITE, CACHE_READ_AUDIO, REASONING),
    *(AUDIO_INPUT, AUDIO_OUTPUT, IMAGE_INPUT, IMAGE_OUTPUT, IMAGE, REQUEST),
)

# The endings of rates for a service tier, by the words that providers use for it.
SERVICE_TIERS = {word: f"_{word}" for word in ("flex", "balanced", "priority", "ultrafast")} | {"fast": "_priority"}

Rates = tuple[tuple[str, int], ...]
"""Names and atto-dollars (10^-18)."""
