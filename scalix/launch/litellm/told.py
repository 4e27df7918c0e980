"""What the operator is told of LiteLLM's settings."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Told:
    """Whole lines. `translated`: of what holds in another way (at `--check`); `without_effect`: of what does not hold
    (at the start too)."""

    translated: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)
