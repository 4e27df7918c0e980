"""Builds the store that all parts share: one client, one circuit breaker, and the stores that several parts use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from scalix.service.policy_source import PolicySource
from scalix.store.connection.breaker import Breaker, guarded
from scalix.store.connection.redis_client import StoreClient, connect
from scalix.store.connection.session import StoreSession
from scalix.store.journal.journal import Journal
from scalix.store.ledger.redis_memory import container_bytes
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.pseudonyms import Pseudonyms
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_users import UserStore
from scalix.store.records.sealing import Sealing
from scalix.wiring.environment import key_names, needed, open_journal, policy_of, sealing, state_dir_of

S = TypeVar("S")
_CONNECTIONS_FOR_LONG_CALLS = 2


@dataclass(frozen=True)
class StoreParts:
    """What every other part is built on. The stores are behind `breaker`."""

    url: str
    state_dir: Path
    session: StoreSession
    policy: PolicySource
    journal: Journal
    sealing: Sealing
    pseudonyms: Pseudonyms
    quotas: QuotaStore
    users: UserStore
    keys: KeyStore
    breaker: Breaker
    _clients: list[StoreClient] = field(default_factory=list)

    @property
    def client(self) -> StoreClient:
        """The client that requests use."""
        return self._clients[0]

    def guarded(self, store: S) -> S:
        """The store, with calls that fail at once while the server is unreachable."""
        return guarded(store, self.breaker)

    def session_for_long_calls(self, timeout_ms: int) -> StoreSession:
        """A session with a client of its own, so that no request waits behind its calls."""
        client = connect(self.url, timeout_ms=timeout_ms, connections=_CONNECTIONS_FOR_LONG_CALLS)
        self._clients.append(client)
        return StoreSession(client, self.session.names, timeout_ms=timeout_ms)

    @property
    def machine_bytes(self) -> Callable[[], int]:
        """The memory of the container that the store shares with this process, in bytes; 0 for a store elsewhere."""
        return container_bytes if self.url.startswith("unix:") else lambda: 0

    async def close(self) -> None:
        """Close all clients."""
        for client in reversed(self._clients):
            await client.aclose()


def build_store(environ: Mapping[str, str]) -> StoreParts:
    """Build the store that the variables name. Raises `LaunchError`."""
    url = needed(environ, "SCALIX_STORE_URL")
    client, names = connect(url), key_names(environ)
    session, breaker = StoreSession(client, names), Breaker()
    sealed, policy, pseudonyms = sealing(environ), PolicySource(policy_of(environ)), Pseudonyms(session)
    quotas = QuotaStore(session, retention=lambda: policy.current.retention, pseudonyms=pseudonyms)
    return StoreParts(
        url=url,
        state_dir=state_dir_of(environ),
        session=session,
        policy=policy,
        journal=open_journal(environ),
        sealing=sealed,
        pseudonyms=pseudonyms,
        quotas=guarded(quotas, breaker),
        users=guarded(UserStore(session, sealing=sealed), breaker),
        keys=guarded(KeyStore(session, sealing=sealed), breaker),
        breaker=breaker,
        _clients=[client],
    )
