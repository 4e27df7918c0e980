"""LiteLLM's own app and helpers, loaded once. Importing it takes seconds."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from scalix.domain.policy import Model
from scalix.litellm_adapter.bounded_sending import bound_sending
from scalix.litellm_adapter.bounded_work import bound_work
from scalix.litellm_adapter.client_urls import bound_fetches
from scalix.litellm_adapter.developer_role import keep_developer_role
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.seam_checks import check
from scalix.litellm_adapter.short_waits import bound_waits
from scalix.litellm_adapter.tokenizers import tokenizer

LARGEST_FETCHED_IMAGE_MB = "10"


@cache
def load_app() -> Any:
    """The stock proxy's ASGI app, with our parts in it. It reads its config (`CONFIG_FILE_PATH`) when its lifespan
    starts. Raises `SeamsChanged`."""
    # For providers that take no URLs LiteLLM fetches images itself, up to 50 MB each, as many as a client names.
    os.environ.setdefault("MAX_IMAGE_URL_DOWNLOAD_SIZE_MB", LARGEST_FETCHED_IMAGE_MB)
    check()
    import litellm
    from litellm.proxy.proxy_server import app

    from scalix.litellm_adapter.single_deltas import install_single_deltas

    # The router's `num_retries` is how often an attempt is repeated. Embeddings would be tried three times for each.
    litellm.DEFAULT_MAX_RETRIES = 0
    litellm.disable_hf_tokenizer_download = True  # it would, in the middle of a request for a model called llama
    bound_work()
    bound_fetches()
    bound_waits()
    bound_sending()
    keep_developer_role()
    tokenizer()  # forked workers share what it loads
    install_reading()
    install_single_deltas()
    return app


def report_every_call() -> None:
    """Without the edge a client may send `no-log`, by which LiteLLM leaves out the events that settle its request."""
    import litellm

    litellm.global_disable_no_log_param = True


def original_id(text: str) -> str:
    """A container's id as its provider knows it. LiteLLM writes provider and deployment into those of its answers, and
    takes them out for its own routes only; other ids it reads itself."""
    from litellm.responses.utils import ResponsesAPIRequestUtils

    return str(ResponsesAPIRequestUtils.decode_container_id_to_original(text))


def model_facts() -> Callable[[Model], Model]:
    """A function that completes a model with what LiteLLM's own map knows: largest prompt and answer."""
    import litellm

    known: dict[str, tuple[Model, Model]] = {}

    def complete(model: Model) -> Model:
        if model.of_wildcard:  # there is no end of these
            return _completed(model, _map_entry(litellm.model_cost, model.provider_model))
        found = known.get(model.name)
        if found is None or found[0] is not model:  # after a reload it may have other prices
            found = (model, _completed(model, _map_entry(litellm.model_cost, model.provider_model)))
            known[model.name] = found
        return found[1]

    return complete


def _map_entry(prices: dict[str, Any], provider_model: str) -> dict[str, Any]:
    entry = prices.get(provider_model) or prices.get(provider_model.partition("/")[2]) or {}
    return entry if isinstance(entry, dict) else {}


def _completed(model: Model, entry: dict[str, Any]) -> Model:
    largest, prompt, mode = entry.get("max_output_tokens"), entry.get("max_input_tokens"), entry.get("mode")
    return replace(
        model,
        max_output_tokens=model.max_output_tokens or (largest if isinstance(largest, int) else None),
        max_input_tokens=model.max_input_tokens or (prompt if isinstance(prompt, int) else None),
        mode=model.mode or (mode if isinstance(mode, str) else None),
    )
