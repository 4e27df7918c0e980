"""Everything below the edge, put together: store, services, and the jobs that keep them going."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalix.domain.identity.addresses import Networks
from scalix.domain.identity.identity import IdentitySettings
from scalix.domain.ledger.audit_chain import Sealer, audit_keys
from scalix.domain.policy import Model, Policy
from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.config.identity_builder import identity_from_text
from scalix.launch.config.policy_file import read_policy
from scalix.launch.problems import LaunchError, Problem
from scalix.service.administration.administration import UserAdministration
from scalix.service.administration.balances import Balances
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.limit_administration import LimitAdministration
from scalix.service.administration.merging import Merging
from scalix.service.administration.resealing import SecretsAdministration
from scalix.service.administration.token_revocation import TokenRevocation
from scalix.service.audit.audit_log import TRIM_EVERY_S, AuditLog
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.audit.identity_events import FLUSH_EVERY_S, IdentityEvents
from scalix.service.exchange.admission import Admission
from scalix.service.exchange.candidates import Fallbacks
from scalix.service.exchange.cooldowns import REFRESH_EVERY_S as COOLDOWNS_EVERY_S
from scalix.service.exchange.cooldowns import Cooldowns
from scalix.service.exchange.exchanges import Exchanges
from scalix.service.exchange.known_refusals import KnownRefusals
from scalix.service.exchange.names_of_day import NamesOfDay
from scalix.service.exchange.object_ids import ObjectIds
from scalix.service.exchange.outage import Outage
from scalix.service.exchange.settlement import RENEW_EVERY_S, SWEEP_EVERY_S, Settlement
from scalix.service.exchange.store_watch import CHECK_EVERY_S, REPLAY_EVERY_S, StoreWatch
from scalix.service.exchange.token_counting import TokenCounting, Tokenizer
from scalix.service.identity.anonymous import AnonymousCallers
from scalix.service.identity.identity import CredentialKind, Identity, MasterKey
from scalix.service.identity.token_issuers import tokens_of
from scalix.service.identity.tokens import REFRESH_EVERY_S, JsonWebTokens
from scalix.service.identity.users import UserDirectory
from scalix.service.identity.virtual_keys import VirtualKeys
from scalix.service.ledger.archive import ARCHIVE_EVERY_S
from scalix.service.ledger.retention import TRY_EVERY_S as RETENTION_EVERY_S
from scalix.service.ledger.store_memory import LOOK_EVERY_S
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.breaker import Breaker, guarded
from scalix.store.connection.client import StoreClient
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.journal.journal import MAX_BYTES as JOURNAL_MAX_BYTES
from scalix.store.journal.journal import Journal
from scalix.store.keys import Keys
from scalix.store.quota.local import LocalCounters
from scalix.store.quota.redis_balance import RedisBalanceStore
from scalix.store.quota.redis_quota import RedisQuotaStore
from scalix.store.records.pseudonyms import Pseudonyms
from scalix.store.records.redis_audit import RedisAuditStore
from scalix.store.records.redis_cooldowns import RedisCooldowns
from scalix.store.records.redis_epoch import RedisEpoch
from scalix.store.records.redis_keys import RedisKeyStore
from scalix.store.records.redis_model_names import RedisModelNames
from scalix.store.records.redis_resealing import RedisResealing
from scalix.store.records.redis_users import RedisUserStore
from scalix.store.records.sealing import Sealing, encryption_keys, sealing_of
from scalix.wiring.ledger import LedgerParts, build_ledger, machine_bytes_of
from scalix.wiring.privacy import PrivacyParts, build_privacy, build_pseudonyms
from scalix.wiring.usage import UsageParts, build_usage

if TYPE_CHECKING:
    pass

DEFAULT_KEY_PREFIX = "scalix:"
LATE_SETTLEMENTS_WAIT_S = 2.0
LEAST_JOURNAL_BYTES = 1024 * 1024


log = logging.getLogger("scalix.wiring")


def now_ms() -> int:
    """This machine's Unix time. Windows follow the store's; this is for what an answer says of them."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Core:
    """The use cases of one process, and the client that they share."""

    client: StoreClient
    policy: PolicySource
    exchanges: Exchanges
    users: UserDirectory
    identity: Identity
    counting: TokenCounting
    admission: Admission
    settlement: Settlement
    watch: StoreWatch
    administration: UserAdministration
    keys: KeyAdministration
    secrets: SecretsAdministration
    limits: LimitAdministration
    tokens: JsonWebTokens
    revocation: TokenRevocation
    merging: Merging
    trusted_proxies: Networks
    audit: AuditLog
    audit_reading: AuditReading
    identity_events: IdentityEvents
    private: PrivacyParts
    usage: UsageParts
    ledger: LedgerParts
    balances: Balances
    fallbacks: Fallbacks
    object_ids: ObjectIds
    facts: Callable[[Model], Model]

    @property
    def jobs(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """What has to run all the time, each with its pause in seconds."""
        return [
            (RENEW_EVERY_S, self.settlement.renew_leases),
            (SWEEP_EVERY_S, self.settlement.sweep),
            (CHECK_EVERY_S, self.watch.check),
            (REPLAY_EVERY_S, self.watch.replay),
            (REFRESH_EVERY_S, self.tokens.refresh),
            (FLUSH_EVERY_S, self.identity_events.flush),
            (TRIM_EVERY_S, self.audit.trim),
            (RETENTION_EVERY_S, self.private.retention.run_daily),
            (LOOK_EVERY_S, self.ledger.memory.look),
            (ARCHIVE_EVERY_S, self.ledger.archive.run),
            (COOLDOWNS_EVERY_S, self.fallbacks.cooldowns.refresh),
        ]

    async def close(self) -> None:
        """Finish what is under way, leave the rest on disk, and let go of the store."""
        await self.settlement.finish_late(LATE_SETTLEMENTS_WAIT_S)
        await self.watch.close()
        try:
            await self.identity_events.flush(everything=True)
        except StoreUnavailable as fault:
            log.warning("the last refusals of identity are not in the audit log: %s", fault)
        await self.private.client.aclose()
        await self.usage.client.aclose()
        await self.ledger.client.aclose()
        await self.client.aclose()


def build_core(
    environ: Mapping[str, str],
    *,
    facts: Callable[[Model], Model],
    tokenizer: Tokenizer,
    original_id: Callable[[str], str] = str,
) -> Core:
    """Everything below the edge, from the variables that the launcher sets. `original_id` undoes what LiteLLM makes of
    a provider's id and does not undo itself. Raises `LaunchError`."""
    client = connect(needed(environ, "SCALIX_STORE_URL"))
    keys = key_names(environ)
    sealing = _sealing(environ)
    session = StoreSession(client, keys)
    breaker = Breaker()
    erased = Pseudonyms(session)
    policy = PolicySource(_policy(environ))
    quota_store = RedisQuotaStore(session, retention=lambda: policy.current.retention, pseudonyms=erased)
    quotas = guarded(quota_store, breaker)
    user_store = guarded(RedisUserStore(session, sealing=sealing), breaker)
    journal = open_journal(environ)
    outage = Outage(LocalCounters(now_ms), journal)
    exchanges = Exchanges()
    known = KnownRefusals()
    counting = TokenCounting(tokenizer)
    users = UserDirectory(user_store, policy)
    key_store = guarded(RedisKeyStore(session, sealing=sealing), breaker)
    virtual_keys = VirtualKeys(key_store, users, now_ms=now_ms)
    audit_store = guarded(RedisAuditStore(session), breaker)
    pseudonyms = build_pseudonyms(session, breaker, erased)
    sealer = Sealer(audit_keys(environ.get("SCALIX_AUDIT_KEY")))
    audit = AuditLog(audit_store, sealer, policy, now_ms=now_ms, pseudonyms=pseudonyms)
    audit_reading = AuditReading(audit_store, pseudonyms)
    events = IdentityEvents(audit, now_ms=now_ms)
    settings = _identity_settings(environ)
    tokens = tokens_of(
        settings.issuers,
        users,
        secrets=environ,
        state_dir=Path(environ.get("SCALIX_STATE_DIR") or ".scalix"),
        now_ms=now_ms,
    )
    master = MasterKey(
        needed(environ, "LITELLM_MASTER_KEY"),
        environ.get("LITELLM_MASTER_KEY_PREVIOUS"),
        on_previous=events.previous_key,
        on_published=events.published_key,
    )
    kinds: list[CredentialKind] = [master, virtual_keys, tokens]
    key_administration = KeyAdministration(key_store, virtual_keys, policy, audit, now_ms=now_ms)
    if settings.anonymous_tier is not None:
        kinds.append(AnonymousCallers(policy, settings.anonymous_tier))
    settlement = Settlement(quotas, exchanges, outage, policy=policy)
    watch = StoreWatch(
        quotas,
        guarded(RedisEpoch(session), breaker),
        breaker,
        journal,
        when_away=client.reconnect,
        when_back=settlement.renew_leases,
    )
    state_dir = Path(environ.get("SCALIX_STATE_DIR") or ".scalix")
    ledger = build_ledger(
        needed(environ, "SCALIX_STORE_URL"),
        keys,
        pseudonyms=erased,
        audit=audit,
        policy=policy,
        state_dir=state_dir,
        now_ms=now_ms,
    )
    return Core(
        client=client,
        ledger=ledger,
        balances=Balances(guarded(RedisBalanceStore(session), breaker), audit),
        watch=watch,
        policy=policy,
        exchanges=exchanges,
        users=users,
        identity=Identity(kinds, users),
        counting=counting,
        admission=Admission(
            quotas,
            users,
            policy,
            exchanges,
            outage,
            counting,
            facts=facts,
            names=NamesOfDay(guarded(RedisModelNames(session), breaker), now_ms=now_ms),
            known=known,
        ),
        settlement=settlement,
        administration=UserAdministration(
            user_store, quotas, users, policy, audit, delete_keys_of=key_administration.delete_all_of
        ),
        keys=key_administration,
        secrets=SecretsAdministration(
            guarded(RedisResealing(session, sealing), breaker),
            audit,
            is_sealing=bool(encryption_keys(environ.get("SCALIX_ENCRYPTION_KEY"))),
        ),
        limits=LimitAdministration(user_store, quotas, users, policy, audit, forget_refusals=known.forget),
        tokens=tokens,
        revocation=TokenRevocation(user_store, users, audit, now_ms=now_ms),
        merging=Merging(quotas, audit),
        trusted_proxies=Networks(settings.trusted_proxies),
        audit=audit,
        audit_reading=audit_reading,
        identity_events=events,
        private=build_privacy(
            needed(environ, "SCALIX_STORE_URL"),
            keys,
            users=user_store,
            key_store=key_store,
            pseudonyms=pseudonyms,
            audit=audit,
            audit_reading=audit_reading,
            policy=policy,
            directory=users,
            virtual_keys=virtual_keys,
            state_dir=Path(environ.get("SCALIX_STATE_DIR") or ".scalix"),
            replay=watch.replay,
            archive=ledger.archive,
            now_ms=now_ms,
        ),
        usage=build_usage(
            needed(environ, "SCALIX_STORE_URL"),
            keys,
            counters=quotas,
            key_store=key_store,
            directory=users,
            policy=policy,
            exchanges=exchanges,
            journal=journal,
            watch=watch,
            machine_bytes=machine_bytes_of(needed(environ, "SCALIX_STORE_URL")),
        ),
        object_ids=ObjectIds(erased, original_id),
        facts=facts,
        fallbacks=Fallbacks(
            policy,
            Cooldowns(guarded(RedisCooldowns(session), breaker), policy, clock=time.monotonic),
            facts=facts,
            now_ms=now_ms,
        ),
    )


def _sealing(environ: Mapping[str, str]) -> Sealing:
    try:
        return sealing_of(encryption_keys(environ.get("SCALIX_ENCRYPTION_KEY")))
    except ValueError:
        fix = "write one made by: openssl rand -base64 32 | tr +/ -_"
        raise LaunchError([Problem("environment", "SCALIX_ENCRYPTION_KEY holds no Fernet key", fix)]) from None


def _policy(environ: Mapping[str, str]) -> Policy:
    """What the launcher has accepted; without a launcher, what the config says."""
    if environ.get("SCALIX_POLICY"):
        return read_policy(Path(environ["SCALIX_POLICY"]))[1]
    return _config(environ).policy


def _identity_settings(environ: Mapping[str, str]) -> IdentitySettings:
    """What the launcher has accepted; without a launcher, what the config says."""
    if environ.get("SCALIX_IDENTITY"):
        return identity_from_text(environ["SCALIX_IDENTITY"])
    return _config(environ).identity


def _config(environ: Mapping[str, str]) -> GatewayConfig:
    """The config file as it is now, which an operator may be editing."""
    return read_config(
        Path(needed(environ, "SCALIX_CONFIG")),
        environ,
        demo=environ.get("SCALIX_DEMO") == "1",
        production=environ.get("SCALIX_ENV") == "production",
    )


def open_journal(environ: Mapping[str, str]) -> Journal:
    """This process's journal, in the state directory. Raises `LaunchError`."""
    text = environ.get("SCALIX_JOURNAL_MAX_BYTES") or str(JOURNAL_MAX_BYTES)
    if not (text.isascii() and text.isdigit() and int(text) >= LEAST_JOURNAL_BYTES):
        what = f"SCALIX_JOURNAL_MAX_BYTES is {text[:40]!r}, which is no size"
        fix = f"write a number of bytes from {LEAST_JOURNAL_BYTES} on, such as {JOURNAL_MAX_BYTES}"
        raise LaunchError([Problem("environment", what, fix)])
    directory = Path(environ.get("SCALIX_STATE_DIR") or ".scalix") / "journal"
    try:
        return Journal(directory, max_bytes=int(text))
    except OSError as error:
        what = f"the journal can't be opened: {error.strerror or error}"
        fix = "make the directory writable for the gateway, or set SCALIX_STATE_DIR to another one"
        raise LaunchError([Problem(str(directory), what, fix)]) from None


def key_names(environ: Mapping[str, str]) -> Keys:
    """The names of all keys in the store. Raises `LaunchError`."""
    prefix = environ.get("SCALIX_KEY_PREFIX") or DEFAULT_KEY_PREFIX
    try:
        return Keys(prefix)
    except ValueError:
        what = f"SCALIX_KEY_PREFIX is {prefix[:40]!r}: braces in it would scatter a user's keys over a cluster"
        raise LaunchError([Problem("environment", what, "write a prefix without { and }, such as scalix:")]) from None


def needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise LaunchError([Problem("environment", f"{name} is not set", "start with start_scalix_litellm.py")])
    return value
