"""The prompts of `tests/cases/prompts`, and their tokens by other people's tokenizers."""

import json
from pathlib import Path
from typing import Final

FOLDER = Path(__file__).parent / "prompts"
TEXTS: Final[dict[str, str]] = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.txt"))}
START_CHARACTERS: Final = 400
COUNTS: Final[dict[str, dict[str, list[int]]]] = json.loads((FOLDER / "counts.json").read_text(encoding="utf-8"))
"""Of each model and text: tokens of the whole, and of its first `START_CHARACTERS`."""


def prompt_of(name: str, tokens: int, model: str) -> tuple[str, int]:
    """A prompt made of the text `name` with at least so many tokens of `model`, and how many it has."""
    whole, start = COUNTS[model][name]
    wholes, rest = divmod(tokens, whole)
    starts = -(-rest // start)
    return TEXTS[name] * wholes + TEXTS[name][:START_CHARACTERS] * starts, wholes * whole + starts * start
