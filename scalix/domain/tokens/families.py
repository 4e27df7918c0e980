"""Chooses the tokenizer that counts a model's prompt, and corrects the count if it is not the model's own.

OpenAI's encodings and the tokenizer that Anthropic published come inside the installed packages; nothing is fetched.
Other families are counted by the nearest of these, with the weights below. Those were fitted to the corpus in
`tests/cases/prompts`, where the count is never below the family's own tokenizer and mostly less than 5 % above it, and
checked on 268 other texts in ten languages and of code, JSON and licences: there nineteen of twenty have at most 14 %
more tokens than counted. `python -m benchmarks --only counting` makes the table in docs/performance.md.
"""

import string
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import re2

Encoding = Literal["o200k_base", "cl100k_base", "claude"]
ENCODINGS: Final[tuple[Encoding, ...]] = ("o200k_base", "cl100k_base", "claude")


@dataclass(frozen=True, slots=True)
class Family:
    """Models with the same tokenizer, which is the one called `encoding`, or close to it.

    The weights are thousandths of a token: for each token of the encoding, for each digit beyond the first in a group
    of three (the encodings' groups), for each punctuation mark, each Chinese or Japanese character, and each accented
    Latin letter. `is_exact`: the encoding is the model's own, and no weight applies. For the others, long runs of
    spaces and control characters are counted as in the vocabularies with the fewest tokens for them.
    """

    name: str
    encoding: Encoding
    token: int = 1_000
    digit: int = 0
    mark: int = 0
    han: int = 0
    latin: int = 0
    is_exact: bool = False

    def tokens(self, text: str, encoded_tokens: int) -> int:
        """The tokens of `text`, for which the encoding has `encoded_tokens`. There are at least half as many, and at
        least one for each control character and for 32 bytes of others."""
        if self.is_exact:
            return encoded_tokens
        milli = encoded_tokens * self.token
        data = text.encode("utf-8", "surrogatepass")
        if self.mark:
            milli += self.mark * (len(data) - len(data.translate(None, _MARKS)))
        if self.digit:
            groups = data.translate(_DIGITS)
            milli += self.digit * (2 * groups.count(b"000") + groups.replace(b"000", b" ").count(b"00"))
        if not text.isascii():
            milli += self.han * (len(data) - len(data.translate(None, _HAN)))
            milli += self.latin * (len(data) - len(data.translate(None, _LATIN)))
        controls = len(data) - len(data.translate(None, _CONTROLS))
        least = max(-(-encoded_tokens // 2), controls + (len(data) - controls) // _LONGEST_RUN)
        return min(len(data), max(least, -(-milli // 1_000)))


_CONTROLS: Final = bytes(byte for byte in (*range(32), 127) if byte not in b"\t\n\r")
_LONGEST_RUN: Final = 32  # spaces, or the like, in one token of Gemma's
_MARKS: Final = string.punctuation.encode()
_HAN: Final = bytes(range(0xE3, 0xEA))  # first bytes, in UTF-8
_LATIN: Final = bytes(range(0xC2, 0xC6))
_DIGITS: Final = bytes(ord("0") if chr(byte) in string.digits else ord(" ") for byte in range(256))

_O200K = Family("OpenAI, from GPT-4o on", "o200k_base", is_exact=True)
_CL100K = Family("OpenAI, to GPT-4, and embeddings", "cl100k_base", is_exact=True)
_CLAUDE = Family("Claude, to 4.6", "claude", token=1_030, mark=280, han=20, latin=1_000)
_NEW_CLAUDE = Family("Claude, from 4.7 on", "claude", token=1_510, han=-540, latin=170)
OTHER: Final = Family("others", "cl100k_base", token=1_220, digit=320, mark=150, han=-230, latin=700)
# By the beginning of a model's name, whoever serves it. The first match counts.
_BY_NAME: Final[tuple[tuple[tuple[str, ...], Family], ...]] = (
    (("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "gpt-oss", "chatgpt-", "codex-", "o1", "o3", "o4"), _O200K),
    (("gpt-4", "gpt-3.5", "gpt-35", "text-embedding-"), _CL100K),
    (("gemini-", "gemma"), Family("Gemini, Gemma", "o200k_base", token=1_012, digit=1_000, mark=280, han=-87)),
    (("deepseek-",), Family("DeepSeek", "o200k_base", token=1_037, mark=30, han=-224, latin=2_060)),
    (("qwen", "qwq"), Family("Qwen", "cl100k_base", digit=1_000, han=-580)),
    (("llama-3", "llama3", "llama-4", "meta-llama-3"), Family("Llama, from 3 on", "cl100k_base", han=-387)),
)
FAMILIES: Final = (*dict.fromkeys(family for _, family in _BY_NAME), _CLAUDE, _NEW_CLAUDE, OTHER)
_CLAUDE_VERSION: Final = re2.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?:\D|$)")
_FIRST_NEW_CLAUDE: Final = (4, 7)


@lru_cache(maxsize=1_024)
def family_of(provider_model: str) -> Family:
    """The family of a model by LiteLLM's name for it, such as `openrouter/deepseek/deepseek-chat:free`."""
    name = provider_model.rpartition("/")[2].lower()
    if "claude-" in name:
        found = _CLAUDE_VERSION.search(name)
        version = (int(found[1]), int(found[2] or 0)) if found else _FIRST_NEW_CLAUDE
        return _NEW_CLAUDE if version >= _FIRST_NEW_CLAUDE else _CLAUDE
    return next((family for starts, family in _BY_NAME if name.startswith(starts)), OTHER)
