"""What is wrong with what the operator wrote, in the words that the operator needs."""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

_SHORTEST_NAME, _MOST_LETTERS = 5, 2
_MOST_CHARS = 2_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake. `where` is `file:line`, a file, or `environment`; `fix` is what to write instead."""

    where: str
    what: str
    fix: str

    def __str__(self) -> str:
        """One line, whatever the parts hold."""
        return " ".join(f"{self.where}: {self.what}; {self.fix}".split())


CONFIG_FILE = "config file"


class Wrong(Exception):
    """What is wrong with one value, and what to write instead; whoever catches it knows where it stands."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class LaunchError(Exception):
    """The gateway can't start. Carries every problem found, so that all can be repaired at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, where: str, what: str, fix: str) -> "LaunchError":
        """An error with a single problem, whose parts these are."""
        return cls([Problem(where, what, fix)])


def read_text(path: Path, kind: str, option: str) -> str:
    """The text of an input file, without a byte order mark. Raises `Wrong` for one that can't be read. `kind` is what
    messages call it, such as `config file`; `option` is where its path may have been given, such as `--config`."""
    try:
        # Who waits for a pipe does nothing else. A shell's `<(…)`, which has no path of its own, can be read once.
        if path.is_fifo() and (kind == CONFIG_FILE or Path(os.path.realpath(path)).is_fifo()):
            raise Wrong(f"the {kind} is a pipe, and is read more than once", "give a file")
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(_MOST_CHARS + 1)
    except FileNotFoundError:
        raise Wrong(f"the {kind} does not exist", f"correct the path given to {option}") from None
    except UnicodeDecodeError:
        raise Wrong(f"the {kind} is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        reason = (error.strerror or "error").lower()
        raise Wrong(f"the {kind} can't be read ({reason})", "give a file that this user may read") from None
    if len(text) > _MOST_CHARS:
        raise Wrong(f"the {kind} has more than {_MOST_CHARS:,} characters, the most that is read", "make it smaller")
    return text


def shown_path(path: Path) -> str:
    """A path as people write it: from the current directory where it is inside."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known name that `name` was probably meant to be, or `None`. `cutoff`, from 0 to 1, is how alike they are."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(name.casefold(), by_folded, n=1, cutoff=cutoff)
    return by_folded[matches[0]] if matches else None


def fix_for(name: str, known: Collection[str], key: str = "") -> str:
    """What to write instead of `name`: the nearest of the `known` names after `key`, else any of them."""
    guess = nearest(name, known)
    return f"write {key}{guess}" if guess else f"write {one_of(known)}"


def one_of(names: Iterable[str]) -> str:
    """`a, b or c`, for messages."""
    listed = list(names)
    return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is within two letters of; `None` for none, and for names too short to tell."""
    if len(name) < _SHORTEST_NAME:
        return None
    near = {
        other: apart
        for other in known
        if len(other) >= _SHORTEST_NAME
        and abs(len(other) - len(name)) <= _MOST_LETTERS
        and (apart := distance(name, other)) <= _MOST_LETTERS
    }
    return min(near, key=lambda other: near[other]) if near else None


def distance(one: str, other: str) -> int:
    """How many letters have to be put in, left out, changed, or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        oldest, before = before, row
        row = [i]
        for j, own in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != own))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == own:
                least = min(least, oldest[j - 2] + 1)
            row.append(least)
    return row[-1]
