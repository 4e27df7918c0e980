"""What is found in a config while it is read, for the operator: problems, warnings and notes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.problems import Problem


@dataclass(frozen=True, slots=True)
class Findings:
    """Collects the findings of one file.

    `problems` keep the gateway from starting, `warnings` do not. `translated` are lines about settings of LiteLLM's
    that hold in another way (shown at `--check`), `without_effect` about those that do not hold (at the start too).
    """

    source: YamlSource
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    translated: list[str] = field(default_factory=list)
    without_effect: list[str] = field(default_factory=list)

    def wrong(self, steps: Iterable[Step], what: str, fix: str) -> None:
        """Add a problem with the value at `steps`."""
        self.problems.append(self.source.problem(steps, what, fix))

    def becomes(self, steps: Iterable[Step], text: str) -> None:
        """Add a line about a setting that holds in another way."""
        self.translated.append(f"{self.source.where(steps)}: {text}")

    def passed_over(self, steps: Iterable[Step], text: str) -> None:
        """Add a line about a part of a setting that does not hold."""
        self.without_effect.append(f"{self.source.where(steps)}: {text}")

    def no_effect(self, steps: Iterable[Step], subject: str, why: str) -> None:
        """Add a line about a setting that does not hold."""
        self.passed_over(steps, f"{subject}: without effect here: {why}")
