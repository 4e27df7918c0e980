"""The results of the checks: one line each, and their sum."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scalix.launch.http_client import NoAnswer

Result = Literal["ok", "FAILED", "skipped"]


class Failed(Exception):
    """The gateway did not do what was expected. The text says what was seen."""


def passes(is_right: bool, seen: str) -> str:
    """What was seen, if it is as expected. Raises `Failed`."""
    if not is_right:
        raise Failed(seen)
    return seen


class Skipped(Exception):
    """The check does not fit this gateway. The text says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check that has run; `seen` is the reason where it was skipped."""

    test: str
    name: str
    expected: str
    seen: str
    result: Result

    def __str__(self) -> str:
        """One line for a person."""
        saw = "because" if self.result == "skipped" else "saw"
        return f"{self.result:<8} {self.test}: {self.name}; expected {self.expected}; {saw} {self.seen}"


class Report:
    """Collects checks. `tell` gets each line as soon as it is known; `secret` never gets into one."""

    def __init__(self, tell: Callable[[str], None], secret: str) -> None:
        self._tell = tell
        self._secret = secret
        self.checks: list[Check] = []

    def check(self, test: str, name: str, expected: str, look: Callable[[], str]) -> bool:
        """Run one check and return whether it passed. `look` returns what it saw, or raises `Failed` or `Skipped`."""
        result: Result = "ok"
        try:
            seen = look()
        except (Skipped, Failed) as ended:
            seen, result = str(ended), "skipped" if isinstance(ended, Skipped) else "FAILED"
        except NoAnswer as failed:
            seen, result = f"no answer: {failed}", "FAILED"
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            seen, result = f"an answer of another shape than a gateway's ({type(error).__name__}: {error})", "FAILED"
        clean = " ".join(seen.replace(self._secret, "[the key]").split())
        check = Check(test, name, expected.replace(self._secret, "[the key]"), clean, result)
        self.checks.append(check)
        self._tell(str(check))
        return result == "ok"

    def count(self, result: Result) -> int:
        """The number of checks with this result."""
        return sum(check.result == result for check in self.checks)

    @property
    def summary(self) -> str:
        """`12 passed, 0 failed`, and how many were skipped if any were."""
        skipped = self.count("skipped")
        tail = f", {skipped} skipped" if skipped else ""
        return f"{self.count('ok')} passed, {self.count('FAILED')} failed{tail}"

    def as_json(self) -> dict[str, Any]:
        """The results as plain data for JSON."""
        return {
            "ok": self.count("FAILED") == 0,
            "passed": self.count("ok"),
            "failed": self.count("FAILED"),
            "skipped": self.count("skipped"),
            "checks": [asdict(check) for check in self.checks],
        }
