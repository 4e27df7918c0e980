"""The tokenizers that come inside the installed packages. Nothing is fetched, whatever a model is called: LiteLLM's own
counter downloads one for every name that holds `llama`."""

import logging
import os
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from scalix.domain.tokens.families import ENCODINGS, Encoding
from scalix.domain.tokens.text_tokens import text_tokens

Count = Callable[[str], int]

_FOLDER: Final = "TIKTOKEN_CACHE_DIR"
# As tiktoken calls them: by the SHA-1 of the addresses that it would fetch them from.
_FILES: Final = {
    "o200k_base": "fb374d419588a4632f3f557e76b4b70aebbca790",
    "cl100k_base": "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
}
log = logging.getLogger("scalix.tokens")


@cache
def tokenizer() -> Callable[[Encoding, str], int]:
    """A function from an encoding and a text to tokens. It lets other threads run. Loading takes some 0.5 s."""
    counts = {encoding: _loaded(encoding) for encoding in ENCODINGS}

    def count(encoding: Encoding, text: str) -> int:
        try:
            return counts[encoding](text)
        except BaseException as fault:  # a panic of the Rust code is no `Exception`
            if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
                raise
            log.warning("the tokenizer %s failed with %s: tokens are estimated", encoding, type(fault).__name__)
            return text_tokens(text)

    return count


def _loaded(encoding: Encoding) -> Count:
    try:
        return _claude() if encoding == "claude" else _openai(encoding)
    except Exception as fault:
        log.warning("the tokenizer %s can't be loaded (%s): tokens are estimated", encoding, type(fault).__name__)
        return text_tokens


def _openai(encoding: str) -> Count:
    import tiktoken

    if not (_folder() / _FILES[encoding]).exists():
        raise FileNotFoundError(encoding)
    before = os.environ.get(_FOLDER)
    os.environ[_FOLDER] = str(_folder())  # an operator's own may lack it, and then it would be fetched
    try:
        found = tiktoken.get_encoding(encoding)
    finally:
        if before is None:
            del os.environ[_FOLDER]
        else:
            os.environ[_FOLDER] = before
    return lambda text: len(found.encode_ordinary(text))


def _claude() -> Count:
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(_folder() / "anthropic_tokenizer.json"))
    return lambda text: len(found.encode(text, add_special_tokens=False).ids)


def _folder() -> Path:
    package = find_spec("litellm")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("litellm")
    return Path(package.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"
