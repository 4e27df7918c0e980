"""The other gateways with the same store: each says in it who it is and by which config it goes."""

import asyncio
import contextlib
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from scalix.store.base import StoreError
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_instances import InstanceStore

LOOK_EVERY_S = 0.25
LEASE_MS = 4_000
# A call for a reload is taken back when it is decided on; one of a gateway that has died ends by itself.
_CALL_LEASE_MS = 15_000
_CALL = "call"
_LONGEST_END_S = 2.0


@dataclass(frozen=True, slots=True)
class Fellow:
    """One gateway. `config` is the version in force; `ready` the one that it has read for the call `call`, empty if its
    files are wrong."""

    address: str
    config: str
    call: str = ""
    ready: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """What all gateways are asked to do: to read their files, or to put in force what they have read."""

    id: str
    by: str
    act: Literal["read", "switch"]


class Fellows(threading.Thread):
    """States `own` in the store, and looks who else does, in a thread of its own: the launcher waits for no store.

    `others` are those that live, without this one; `heard` is the call that is out; `is_away` says that the store does
    not answer, and the others can't be known.
    """

    def __init__(self, url: str, prefix: str, own: Fellow) -> None:
        super().__init__(name="fellows", daemon=True)
        self.own = own
        self.others: list[Fellow] = []
        self.heard: Call | None = None
        self.is_away = True
        self._name = secrets.token_hex(6)
        self._url = url
        self._keys = Keys(prefix)
        self._call: Call | None = None
        self._told: Call | None = None
        self._leaving = threading.Event()

    def call(self, call: Call | None) -> None:
        """Ask all gateways for something, or, with `None`, for nothing more; what another one has called meanwhile
        stays."""
        self._call = call

    @property
    def was_overtaken(self) -> bool:
        """Whether another gateway's call has taken the place of that of this one."""
        told, heard = self._told, self.heard
        return told is not None and heard is not None and told is self._call and heard.id != told.id

    def leave(self) -> None:
        """Be no gateway any more, for the others."""
        self._leaving.set()
        if self.ident is not None:
            self.join(_LONGEST_END_S)

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        client = connect(self._url, connections=1)
        store = InstanceStore(StoreSession(client, self._keys))
        try:
            while not self._leaving.is_set():
                try:
                    await self._look(store)
                    self.is_away = False
                except StoreError:
                    self.is_away = True
                await asyncio.sleep(LOOK_EVERY_S)
            with contextlib.suppress(StoreError):
                await store.state(self._name, "", LEASE_MS)
        finally:
            await client.aclose()

    async def _look(self, store: InstanceStore) -> None:
        call, told = self._call, self._told
        if call and call != told:
            await store.state(_CALL, json.dumps(asdict(call)), _CALL_LEASE_MS)
        elif not call and told and self.heard and self.heard.id == told.id:
            await store.state(_CALL, "", _CALL_LEASE_MS)
        found = await store.state(self._name, json.dumps(asdict(self.own)), LEASE_MS)
        self.heard = _read_call(found.pop(_CALL, ""))
        self._told = call
        self.others = [fellow for name, text in found.items() if name != self._name and (fellow := _read(text))]


def _read(text: str) -> Fellow | None:
    """A gateway of another version may say more, or less."""
    with contextlib.suppress(ValueError, TypeError):
        told = json.loads(text)
        return Fellow(**{name: str(told.get(name, "")) for name in Fellow.__slots__})
    return None


def _read_call(text: str) -> Call | None:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        told: Mapping[str, str] = json.loads(text)
        return Call(str(told["id"]), str(told["by"]), "switch" if told["act"] == "switch" else "read")
    return None
