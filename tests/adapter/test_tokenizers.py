"""Tokenizers come from the installed packages: nothing is fetched, and what can't be counted is estimated."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalix.domain.tokens.families import ENCODINGS
from scalix.domain.tokens.text_tokens import text_tokens
from scalix.litellm_adapter import tokenizers
from tests.cases.token_counts import COUNTS, TEXTS

ROOT = Path(__file__).parent.parent.parent
WITHOUT_A_NETWORK = """
import socket

def refused(*args, **kwargs):
    raise AssertionError("the network was asked")

socket.socket.connect = socket.getaddrinfo = refused
from scalix.litellm_adapter.tokenizers import tokenizer
from tests.cases.token_counts import TEXTS
print([tokenizer()(encoding, TEXTS["german"]) for encoding in ("o200k_base", "cl100k_base", "claude")])
"""


def test_an_operators_own_folder_for_tiktoken_lets_nothing_be_fetched(tmp_path: Path) -> None:
    environment = {**os.environ, "TIKTOKEN_CACHE_DIR": str(tmp_path), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_NETWORK],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    o200k, cl100k, claude = json.loads(done.stdout)
    assert [o200k, cl100k] == [COUNTS["gpt-4o"]["german"][0], COUNTS["gpt-4"]["german"][0]], done.stderr
    assert claude != text_tokens(TEXTS["german"])
    assert list(tmp_path.iterdir()) == []


class PanicException(BaseException):
    """As the tokenizers' Rust code raises it."""


@pytest.mark.parametrize("fault", [PanicException, ValueError])
def test_a_tokenizer_that_fails_leaves_the_estimate(
    monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    def failing(text: str) -> int:
        raise fault("broken")

    monkeypatch.setattr(tokenizers, "_loaded", lambda encoding: failing)
    count = tokenizers.tokenizer.__wrapped__()
    assert count("o200k_base", TEXTS["english"]) == text_tokens(TEXTS["english"])


def test_what_ends_the_process_is_not_taken_for_a_fault_of_a_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(text: str) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(tokenizers, "_loaded", lambda encoding: stopping)
    with pytest.raises(KeyboardInterrupt):
        tokenizers.tokenizer.__wrapped__()("o200k_base", "a")


def test_a_package_without_its_tokenizers_leaves_the_estimate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tokenizers, "_folder", lambda: tmp_path)
    count = tokenizers.tokenizer.__wrapped__()
    counts = [count(encoding, TEXTS["english"]) for encoding in ENCODINGS]
    assert counts == [text_tokens(TEXTS["english"])] * len(ENCODINGS)
