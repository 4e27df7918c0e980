"""The configs of tests/cases/configs, with dummies for the variables that they name."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

CASES = Path(__file__).parents[1] / "cases" / "configs"
CONFIGS = sorted(path.name for path in CASES.glob("*.yaml"))
REFUSED = "26-misspelt.yaml"
REFUSED_IN_PRODUCTION = "25-plain-keys.yaml"
# LiteLLM's kinds of fallbacks, and the first with the setting by which it looks whether the key may use them.
ENFORCED = "fallbacks, enforced"
KINDS = ("fallbacks", ENFORCED, "default_fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_REFERENCE = re.compile(r"os\.environ/(\w+)|\$\{(\w+)\}")
_VALUES = {
    "MODEL_ASSISTANT": "openai/gpt-5-mini",
    "OPENAI_BASE_URL": "https://llm.example.org/v1",
    "AZURE_API_BASE": "https://mine.openai.azure.com",
    "SCALIX_ENGINE_URL": "https://engine.example.org/v1",
    "REDIS_PORT": "6379",
}


def config_at(folder: Path, name: str) -> Path:
    """A copy of one config in `folder`, with what stands beside it."""
    shutil.copytree(CASES / "beside", folder / "beside", dirs_exist_ok=True)
    return Path(shutil.copy(CASES / name, folder / name))


def dummies(name: str, *, without: Sequence[str] = ()) -> dict[str, str]:
    """A value for each variable that a config and the files beside it name."""
    texts = [(CASES / name).read_text(encoding="utf-8"), (CASES / "beside/models.yaml").read_text(encoding="utf-8")]
    names = [first or second for text in texts for first, second in _REFERENCE.findall(text)]
    values = {name: _VALUES.get(name, f"dummy-{name.lower()}-0123456789abcdef") for name in names}
    return {name: value for name, value in values.items() if name not in without}
