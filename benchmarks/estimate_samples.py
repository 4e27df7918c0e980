"""Texts and tokenizers for measuring the prompt estimate. Nothing is downloaded."""

import argparse
import base64
import dataclasses
import json
import os
import random
import string
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

SAMPLES = Path(__file__).parent.parent / "tests" / "domain" / "samples"
LANGUAGES = (
    *("english", "german", "french", "spanish", "russian"),
    *("arabic", "hindi", "chinese", "japanese", "korean"),
)
CODE = ("python", "python with long comments", "javascript", "minified", "sql", "markdown", "json", "json indented")

Count = Callable[[str], int]


def samples() -> dict[str, str]:
    """Name to text, a few KB each: `LANGUAGES`, `CODE`, then noise. The same on every call of one interpreter."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in SAMPLES.glob("*.txt")}
    texts["python"] = Path(argparse.__file__).read_text(encoding="utf-8")[20_000:26_000]
    texts["python with long comments"] = Path(dataclasses.__file__).read_text(encoding="utf-8")[:6_000]
    texts["json"] = json.dumps(_records(), separators=(",", ":"))
    texts["json indented"] = json.dumps(_records(), indent=2)
    return {name: texts[name] for name in (*LANGUAGES, *CODE)} | _noise(texts["english"])


def _records() -> list[dict[str, object]]:
    tiers = ("free", "pro", "premium")
    return [
        {
            "user_id": f"user-{index * 7919 % 1000}",
            "tier": tiers[index % 3],
            "is_active": index % 4 != 0,
            "usage": {"requests": index * 13, "prompt_tokens": index * 977, "cost_usd": round(index * 0.0123, 4)},
            "last_error": None if index % 2 else "rate limit exceeded, retry after 60 seconds",
            "models": ["free-gemini-flash", "scalix-engine"],
        }
        for index in range(24)
    ]


def _noise(english: str) -> dict[str, str]:
    draw = random.Random(20250301)
    starts = (0x0A80, 0x1200, 0x13A0, 0x1780, 0xA500)  # Gujarati, Ethiopic, Cherokee, Khmer, Vai
    emoji = ("😀", "😂", "🥰", "👍🏽", "🎉", "🚀", "🔥", "✨", "❤️", "👨‍👩‍👧", "🇩🇪", "🧪", "🤖", "💡", "📦", "✅", "⚠️")
    return {
        "all capitals": english.upper(),
        "base64": base64.b64encode(draw.randbytes(2_400)).decode(),
        "hexadecimal": draw.randbytes(1_600).hex(),
        "digits": "".join(draw.choices(string.digits, k=3_000)),
        "table of numbers": "\n".join(",".join(f"{draw.uniform(-99, 999):.3f}" for _ in range(8)) for _ in range(50)),
        "random letters": "".join(draw.choices(string.ascii_lowercase, k=3_000)),
        "random ASCII": "".join(draw.choices(string.printable[:95], k=3_000)),
        "spaces": " " * 3_000,
        "white space": "".join(draw.choices(" \t\n", k=2_000)),
        "emoji": "".join(draw.choices(emoji, k=600)),
        "symbols": "".join(draw.choices("∑∫√∞≈≠≤≥±×÷∂∇∈∉⊂⊃∪∩→←↔⇒┌─┬┐│", k=900)),
        "rare scripts": "".join(chr(draw.choice(starts) + draw.randrange(60)) for _ in range(800)),
    }


def bundled_tokenizers() -> dict[str, Count]:
    """The tokenizers in LiteLLM's package: OpenAI's two and the one that Anthropic published."""
    package = find_spec("litellm")
    assert package is not None
    assert package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0]) / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    import tiktoken

    return {
        "cl100k": _tiktoken_count(tiktoken.get_encoding("cl100k_base")),
        "o200k": _tiktoken_count(tiktoken.get_encoding("o200k_base")),
        "claude": tokenizer_from(folder / "anthropic_tokenizer.json"),
    }


def _tiktoken_count(encoding: "tiktoken.Encoding") -> Count:
    return lambda text: len(encoding.encode_ordinary(text))


def tokenizer_from(path: Path) -> Count:
    """The tokenizer in a `tokenizer.json` of Hugging Face's format."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
