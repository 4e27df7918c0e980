"""Backups: when they are made, what they are called, and which are kept."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from scalix.domain.limits.calendar import DAY_MS

_BACKUP, _NOTE = ".backup", ".erased"


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """`to` is a directory or `s3://bucket/prefix`; `None`: nowhere. `every_hours` of 0: only when asked.

    Of the backups there, the newest `keep` stay, as far as they are at most `keep_days` old; the newest in any case.
    """

    to: str | None = None
    endpoint: str | None = None
    every_hours: int = 24
    keep: int = 14
    keep_days: int = 35


def backup_name(created_ms: int, mark: str) -> str:
    """Such as `scalix-20261101T043000123Z-5f0c9a.backup`: by name they are in the order of their time."""
    return f"scalix-{_stamp(created_ms)}-{mark}{_BACKUP}"


def note_name(erased_ms: int, digest: str) -> str:
    """The file that says that somebody was erased then."""
    return f"erased-{_stamp(erased_ms)}-{digest.lstrip('~')[:16]}{_NOTE}"


def time_of(name: str) -> int | None:
    """The time in the name of a backup or a note, in ms since 1970; `None` if the name is neither's."""
    head, _, rest = name.partition("-")
    if (head, name[name.rfind(".") :]) not in (("scalix", _BACKUP), ("erased", _NOTE)):
        return None
    try:
        at = datetime.strptime(rest.partition("-")[0], "%Y%m%dT%H%M%S%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(at.timestamp() * 1000)


def backups_of(names: Iterable[str]) -> list[str]:
    """Those of the names that are backups, the newest first."""
    return sorted((name for name in names if name.endswith(_BACKUP) and time_of(name) is not None), reverse=True)


def notes_of(names: Iterable[str]) -> list[str]:
    """Those of the names that are notes of erasures, the oldest first."""
    return sorted(name for name in names if name.endswith(_NOTE) and time_of(name) is not None)


def outdated(backups: Sequence[str], settings: BackupSettings, now_ms: int) -> list[str]:
    """Which of the backups, the newest first, need not be kept any more."""
    oldest_ms = now_ms - settings.keep_days * DAY_MS
    return [
        name
        for place, name in enumerate(backups)
        if place > 0 and (place >= settings.keep or (time_of(name) or 0) < oldest_ms)
    ]


def _stamp(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{at:%Y%m%dT%H%M%S}{at_ms % 1000:03d}Z"
