"""Secrets that are none."""

import base64
import random

import pytest

from scalix.domain.identity.published_keys import is_placeholder, is_published


@pytest.mark.parametrize(
    "key",
    [
        *("sk-scalix-dev-123456789", "sk-1234", "sk-1234567890", "sk-my-master-key", "sk-litellm-master-key"),
        *("sk-npnwjPQciVRok5yNZgKmFQ", "sk-master-example-000000000000", "SK-Scalix-Dev-123456789", "password123"),
        *("sk-private-local-key", "sk-scalix-change-me-to-a-long-random-value", "sk-local", "secret"),
        *("none", "EMPTY", "sk-no-key-required"),
    ],
)
def test_keys_of_documents_are_published(key: str) -> None:
    assert is_published(key)
    assert is_published(f" {key}\n")


@pytest.mark.parametrize(
    "key",
    [
        *("your_gemini_api_key_here", "your-secure-master-key-here", "YOUR_KEY", "<your key>", "[api key]", "{KEY}"),
        *("changeme", "change-me", "CHANGE_ME_PLEASE", "replace-with-openssl-rand-hex-32", "sk-...", "sk-xxxxxxxx"),
        *("sk-ant-your-key-here", "placeholder", "xxx", "1234", "insert key"),
    ],
)
def test_placeholders_are_no_keys(key: str) -> None:
    assert is_placeholder(key)
    assert is_published(key)


@pytest.mark.parametrize(
    "key",
    [
        *("", "canary", "sk-tiny-provider-key-0123456789", "scalix-4f0c9d2a7be81653", "hunter2-of-redis"),
        *('{"type": "service_account", "private_key_id": "x"}', "sk-" + "5f" * 32, "x" + "a1b2c3" * 60),
    ],
)
def test_other_texts_may_be_secrets(key: str) -> None:
    assert not is_published(key)


def test_a_key_of_ones_own_server_may_be_made_of_words() -> None:
    assert not any(is_placeholder(key) for key in ("scalix_dev_key_123", "none", "x"))


def test_keys_by_chance_are_secrets() -> None:
    chance = random.Random(12)
    for _ in range(2_000):
        data = chance.randbytes(24)
        for key in (data.hex(), f"sk-{data.hex()}", base64.b64encode(data).decode(), f"AIza{data.hex()}"):
            assert not is_published(key)
        assert not is_published(str(chance.randrange(10**20, 10**21)))


def test_the_longest_texts_are_judged_at_once() -> None:
    assert not is_published("your_" + "a" * 1_000_000)
