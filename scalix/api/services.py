"""Builds the services of the Python API over one store; the gateway's edge uses the same ones."""

from dataclasses import dataclass

from scalix.api.errors import SetupError
from scalix.api.place import Place
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.service.usage.usage import UsageReading
from scalix.store.connection.redis_client import StoreClient, connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.redis_users import UserStore
from scalix.store.records.sealing import Sealing, encryption_keys

CALL_TIMEOUT_MS = 2_000
# One is enough for a thread that waits for each answer.
_CONNECTIONS = 1


@dataclass(frozen=True, slots=True)
class Services:
    """What the API needs of one store."""

    client: StoreClient
    quotas: QuotaStore
    ledger: LedgerReader
    users: UserDirectory
    usage: UsageReading
    policy: PolicySource


def open_services(place: Place) -> Services:
    """Build the services. They connect at the first call. Raises `StoreNotRunning`, `SetupError`."""
    client = connect(place.store_url, timeout_ms=CALL_TIMEOUT_MS, connections=_CONNECTIONS)
    keys = Keys(place.key_prefix)
    session = StoreSession(client, keys, timeout_ms=CALL_TIMEOUT_MS)
    policy = PolicySource(place.policy)
    quotas = QuotaStore(session)
    try:
        sealing = Sealing(encryption_keys(place.values.get("SCALIX_ENCRYPTION_KEY")))
    except ValueError:
        raise SetupError("SCALIX_ENCRYPTION_KEY holds no Fernet key: write the gateway's") from None
    users = UserDirectory(UserStore(session, sealing=sealing), policy)
    ledger = LedgerReader(session)
    balances = BalanceStore(session)
    return Services(client, quotas, ledger, users, UsageReading(ledger, quotas, balances, users, policy), policy)
