"""One gateway and one scripted provider for the modules of tests that change nothing of them but the answers."""

from collections.abc import Iterator

import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Provider, scripted


@pytest.fixture(scope="session")
def answering() -> Iterator[Provider]:
    """The provider. A module's own fixture `provider` has it answer and note from the beginning: see `begun_anew`."""
    from tests.e2e.test_who_is_to_blame import proper

    with scripted(proper) as made:
        yield made


@pytest.fixture(scope="session")
def answered(tmp_path_factory: pytest.TempPathFactory, answering: Provider) -> Iterator[Gateway]:
    """The gateway, with the models of all these modules, each of which has names of its own."""
    from tests.e2e import (
        test_client_fields,
        test_codex,
        test_late_usage,
        test_usage_in_odd_places,
        test_who_is_to_blame,
    )

    models = [
        *test_who_is_to_blame.MODELS,
        *test_client_fields.MODELS,
        *test_codex.MODELS,
        test_late_usage.SEARCHING,
        *test_usage_in_odd_places.MODELS,
    ]
    section = {"fallbacks": {**test_client_fields.FALLBACKS, **test_codex.FALLBACKS}}
    gateway = Gateway(tmp_path_factory.mktemp("answered"), answering.url, models=models, section=section).start()
    yield gateway
    gateway.stop()


def begun_anew(provider: Provider) -> Provider:
    """The provider as it is at first: it has been asked nothing, and answers properly."""
    from tests.e2e.test_who_is_to_blame import proper

    provider.answer = proper
    provider.asked.clear()
    provider.heads.clear()
    return provider
