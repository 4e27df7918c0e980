"""Checks a whole audit log, entry by entry, and says which ones are not as they were written."""

from collections.abc import Mapping
from dataclasses import dataclass

from scalix.domain.ledger.audit_chain import GENESIS, PLAIN, TRIMMED, Link, Sealer

_MOST_FINDINGS = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What a check has found: `findings` in plain words, none for a log that is whole."""

    entries: int
    first_seq: int
    last_seq: int
    last_hash: str
    keyed: int
    findings: tuple[str, ...]


class ChainCheck:
    """Takes entries in the order of the log, then `finish` tells. `known`: hashes by seq that were kept elsewhere, as
    in the gateway's own log, which show a log that was built anew from some point on."""

    def __init__(self, sealer: Sealer, known: Mapping[int, str] | None = None) -> None:
        self._sealer = sealer
        self._known = dict(known or {})
        self._findings: list[str] = []
        self._first: Link | None = None
        self._last: Link | None = None
        self._last_holds = False
        self._count = 0
        self._keyed = 0
        self._unknown_keys: dict[str, tuple[int, int]] = {}
        self._trimmed: dict[int, str] = {}

    def take(self, link: Link) -> None:
        """Check the next entry against itself and the one before."""
        last, last_held = self._last, self._last_holds
        gap = last is not None and link.seq > last.seq + 1
        if last is not None and gap:
            self._find(f"{_entries(last.seq + 1, link.seq - 1)} removed")
        holds = self._holds_by_itself(link)
        if last is not None and not gap and holds and last_held and link.prev != last.hash:
            self._find(f"entry {last.seq} was replaced: entry {link.seq} was written after another one")
        if link.seq in self._known and self._known.pop(link.seq) != link.hash:
            self._find(f"entry {link.seq} is not the one that you know: the log was built anew")
        if holds and link.entry.get("act") == TRIMMED:
            details = link.entry.get("details") or {}
            self._trimmed[int(details.get("through_seq", 0))] = str(details.get("through_hash"))
        self._first = self._first or link
        self._last, self._last_holds = link, holds
        self._count += 1

    def finish(self, given_seq: int) -> Report:
        """The report. `given_seq` is the number that the store gave last, which outlives a removed entry."""
        first, last = self._first, self._last
        if first is not None:
            self._check_begin(first)
        end = last.seq if last is not None else 0
        if given_seq > end:
            self._find(f"{_entries(end + 1, given_seq)} removed from the end")
        for seq in sorted(self._known):
            if seq > end:
                self._find(f"entry {seq}, which you know, is not there: the log was cut or built anew")
        if last is not None and self._sealer.has_keys and last.mac == PLAIN:
            self._find(
                f"entry {last.seq}, the last one, is not signed although SCALIX_AUDIT_KEY is set: the log was built "
                "anew without it, or nothing was recorded since it was set"
            )
        for key, (begin, count) in self._unknown_keys.items():
            self._find(f"{count} entries from {begin} on can't be checked: SCALIX_AUDIT_KEY lacks the key {key}")
        return Report(
            entries=self._count,
            first_seq=first.seq if first else 0,
            last_seq=end,
            last_hash=last.hash if last else GENESIS,
            keyed=self._keyed,
            findings=tuple(self._findings),
        )

    def _holds_by_itself(self, link: Link) -> bool:
        if link.mac == PLAIN and self._keyed:
            self._find(f"entry {link.seq} is not signed, although entries before it are: it was put there")
        self._keyed += link.is_keyed
        if not self._sealer.knows(link):
            key = link.mac.rpartition(":")[2][:20]
            begin, count = self._unknown_keys.get(key, (link.seq, 0))
            self._unknown_keys[key] = (begin, count + 1)
            return False
        if self._sealer.holds(link):
            return True
        there = link.entry.get("seq")
        if isinstance(there, int) and there != link.seq:
            self._find(f"in the place of entry {link.seq} stands what was entry {there}")
        else:
            self._find(f"entry {link.seq} was changed")
        return False

    def _check_begin(self, first: Link) -> None:
        if first.seq == 1:
            if self._sealer.holds(first) and first.prev != GENESIS:
                self._find("entry 1 follows another one: the begin of the log was removed")
        elif first.seq - 1 not in self._trimmed:
            before = max((seq for seq in self._trimmed if seq < first.seq), default=0)
            self._find(f"{_entries(before + 1, first.seq - 1)} removed, and not by retention")
        elif self._sealer.holds(first) and self._trimmed[first.seq - 1] != first.prev:
            self._find(f"entry {first.seq} was written after another one than the last that retention removed")
        late = [seq for seq in self._trimmed if seq >= first.seq]
        if late:
            self._find(f"{_entries(first.seq, max(late))} put back after retention had removed them")

    def _find(self, what: str) -> None:
        if len(self._findings) < _MOST_FINDINGS:
            self._findings.append(what)


def _entries(first: int, last: int) -> str:
    return f"entry {first} was" if first == last else f"entries {first} to {last} were"
