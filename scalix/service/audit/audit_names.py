"""The audit log names users by pseudonyms: what is written in their place, and read in its place."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from scalix.domain.identity.subjects import user_subject
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.audit.audit import Act
from scalix.store.records.pseudonyms import PSEUDONYM, PseudonymStore

# A shorter name is found in other texts by chance: then only a text that is the name counts.
_LEAST_CHARS_WITHIN = 5
_KINDS = ("user:", "address:", "key:")


class AuditNames:
    """Hides users' names in what the audit log keeps, and shows them in what operators read of it."""

    def __init__(self, names: PseudonymStore) -> None:
        self._names = names

    async def hidden(self, act: Act, keep_days: int) -> dict[str, Any]:
        """What is kept of an act, its user's names replaced. Raises `StoreUnavailable`."""
        facts = act.facts
        if not act.user_id:
            return facts
        texts = list(dict.fromkeys([act.user_id, *filter(None, act.hides)]))
        kind, _, name = act.object.partition(":")
        if kind == "key" and name and name not in texts:
            texts.append(name)
        # One day more than the entry: its removal comes once an hour.
        lifetime_ms = (keep_days + 1) * DAY_MS
        given = await self._names.pseudonyms(user_subject(act.user_id), texts, lifetime_ms, act.at_ms)
        return hidden_in(facts, given)

    async def shown(self, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Entries with the names that are still known. Raises `StoreUnavailable`."""
        listed = list(entries)
        wanted: set[str] = set()
        _mapped(listed, lambda text: wanted.update(PSEUDONYM.findall(text)))
        names = await self._names.behind(wanted)
        return [_mapped(entry, lambda text: _restored(text, names)) for entry in listed] if names else listed

    async def of_user(self, user_id: str) -> frozenset[str]:
        """The pseudonyms of a user and of what is the user's. Raises `StoreUnavailable`."""
        return frozenset((await self._names.known(user_subject(user_id))).values())

    async def named(self, user_id: str, name: str, keep_days: int) -> str:
        """A pseudonym for something else of a user's, the same at every call until the user's names are forgotten."""
        subject = user_subject(user_id)
        return (await self._names.pseudonyms(subject, [name], keep_days * DAY_MS))[name]

    async def forget(self, user_id: str) -> int:
        """Forget whom the log means; how many pseudonyms there were. Raises `StoreUnavailable`."""
        return await self._names.forget(user_subject(user_id))


def hidden_in(facts: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The facts of an act with pseudonyms `given` in place of names."""
    within = sorted((re.escape(name) for name in given if len(name) >= _LEAST_CHARS_WITHIN), key=len, reverse=True)
    pattern = re.compile("|".join(within)) if within else None

    def hide(text: str) -> str:
        kind, colon, name = text.partition(":")
        if text in given:
            return given[text]
        if colon and name in given:
            return f"{kind}:{given[name]}"
        return pattern.sub(lambda match: given[match[0]], text) if pattern else text

    hidden = dict(facts)
    # An operator's address is the operator's, whatever it has in common with the user's.
    of_actor = ("actor", "address") if str(hidden.get("actor", "")).startswith(_KINDS) else ()
    for field in (*of_actor, "object", "before", "after", "details"):
        if field in hidden:
            hidden[field] = _mapped(hidden[field], hide)
    return hidden


def _mapped(value: Any, change: Any) -> Any:
    """`value` with every text in it changed, but for the names of its fields."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _mapped(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(item, change) for item in value]
    return value


def _restored(text: str, names: Mapping[str, str]) -> str:
    return PSEUDONYM.sub(lambda match: names.get(match[0], match[0]), text) if "p-" in text else text
