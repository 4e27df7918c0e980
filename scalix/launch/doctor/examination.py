"""Calls all checks, and shows what they have found: problems last, where the eye is when the command ends."""

import json
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

from scalix.domain.redaction.known_secrets import KnownSecrets
from scalix.launch.doctor.certificates import check_certificates
from scalix.launch.doctor.findings import LEVELS, Case, Check, Finding
from scalix.launch.doctor.keys import check_keys
from scalix.launch.doctor.machine import check_disk, check_machine, check_modes, check_versions
from scalix.launch.doctor.providers import check_providers
from scalix.launch.doctor.running import check_gateway, check_left, check_port
from scalix.launch.doctor.settings import check_config, check_settings
from scalix.launch.doctor.store import check_store

CHECKS: Mapping[str, Check] = {
    "settings": check_settings,
    "keys": check_keys,
    "config": check_config,
    "packages": check_versions,
    "machine": check_machine,
    "disk": check_disk,
    "modes": check_modes,
    "port": check_port,
    "gateway": check_gateway,
    "journal": check_left,
    "certificates": check_certificates,
    "store": check_store,
    "providers": check_providers,
}
_WIDTH = 80
_EXIT_CODES = {"ok": 0, "note": 0, "warning": 1, "problem": 2}
Row = tuple[str, Finding]


def examined(case: Case, checks: Mapping[str, Check] = CHECKS) -> list[Row]:
    """All findings, each with its area: first what is well, last what is wrong."""
    rows = [(area, finding) for area, check in checks.items() for finding in _tolerant(area, check, case)]
    return sorted(rows, key=lambda row: LEVELS.index(row[1].level))


def _tolerant(area: str, check: Check, case: Case) -> Iterator[Finding]:
    """What a check finds. One that stumbles over what nobody has thought of does not keep the others from looking."""
    try:
        yield from check(case)
    except Exception as error:
        yield Finding(
            "warning", area, f"could not be looked at ({type(error).__name__})", "see the other findings first"
        )


def exit_code(rows: Sequence[Row]) -> int:
    """0: there is nothing to do; 1: there are warnings; 2: there are problems."""
    return max((_EXIT_CODES[finding.level] for _, finding in rows), default=0)


def as_json(rows: Sequence[Row], redact: KnownSecrets) -> str:
    """The findings as one JSON object, without secrets."""
    told = [{"area": area, **asdict(finding)} for area, finding in rows]
    return _clean(json.dumps({"ok": exit_code(rows) == 0, "findings": told}), redact)


def as_text(rows: Sequence[Row], redact: KnownSecrets) -> str:
    """The findings as lines of at most 80 columns, without secrets."""
    lines = list[str]()
    for area, finding in rows:
        where = "" if finding.where == area else f"{finding.where}: "
        lines += _wrapped(f"{finding.level:<9}", _clean(f"{area}: {where}{finding.what}", redact))
        lines += _wrapped(" " * 9 + "-> ", _clean(finding.fix, redact)) if finding.fix else ()
    counts = Counter(finding.level for _, finding in rows)
    kinds = [f"{counts[level]} {level}{'s' * (counts[level] != 1)}" for level in ("problem", "warning", "note")]
    return "\n".join([*lines, f"{len(rows)} finding{'s' * (len(rows) != 1)}: {', '.join(kinds)}"])


def _wrapped(begin: str, text: str) -> list[str]:
    indent = " " * len(begin)
    return textwrap.wrap(text, _WIDTH, initial_indent=begin, subsequent_indent=indent, break_on_hyphens=False)


def _clean(text: str, redact: KnownSecrets) -> str:
    return redact(text.encode()).decode("utf-8", "replace")
