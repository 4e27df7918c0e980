"""The composition root: the one place that picks implementations and puts them together."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scalix
from scalix.domain.addresses import Networks
from scalix.domain.audit_chain import Sealer, audit_keys
from scalix.domain.errors import GatewayError
from scalix.domain.identity import IdentitySettings
from scalix.domain.policy import Model, Policy
from scalix.launch.config_file import GatewayConfig, read_config
from scalix.launch.environment import DEFAULT_STREAM_JOIN_MS
from scalix.launch.identity_builder import identity_from_text
from scalix.launch.policy_file import read_policy
from scalix.launch.problems import LaunchError, Problem
from scalix.service.administration import UserAdministration
from scalix.service.admission import Admission
from scalix.service.anonymous import AnonymousCallers
from scalix.service.audit_log import TRIM_EVERY_S, AuditLog
from scalix.service.audit_reading import AuditReading
from scalix.service.exchanges import Exchanges
from scalix.service.identity import CredentialKind, Identity, MasterKey
from scalix.service.identity_events import FLUSH_EVERY_S, IdentityEvents
from scalix.service.key_administration import KeyAdministration
from scalix.service.known_refusals import KnownRefusals
from scalix.service.limit_administration import LimitAdministration
from scalix.service.load_shedding import LoadShedding
from scalix.service.merging import Merging
from scalix.service.outage import Outage
from scalix.service.policy_source import PolicySource
from scalix.service.settlement import RENEW_EVERY_S, SWEEP_EVERY_S, Settlement
from scalix.service.store_watch import CHECK_EVERY_S, REPLAY_EVERY_S, StoreWatch
from scalix.service.throttle import Throttle
from scalix.service.token_issuers import tokens_of
from scalix.service.token_revocation import TokenRevocation
from scalix.service.tokens import REFRESH_EVERY_S, JsonWebTokens
from scalix.service.users import UserDirectory
from scalix.service.virtual_keys import VirtualKeys
from scalix.store.base import StoreUnavailable
from scalix.store.breaker import Breaker, guarded
from scalix.store.calls import in_time
from scalix.store.journal import MAX_BYTES as JOURNAL_MAX_BYTES
from scalix.store.journal import Journal
from scalix.store.keys import Keys
from scalix.store.local import LocalCounters
from scalix.store.redis_audit import RedisAuditStore
from scalix.store.redis_client import connect
from scalix.store.redis_epoch import RedisEpoch
from scalix.store.redis_keys import RedisKeyStore
from scalix.store.redis_quota import RedisQuotaStore
from scalix.store.redis_users import RedisUserStore
from scalix.store.sealing import Sealing, encryption_keys, sealing_of

if TYPE_CHECKING:
    from scalix.edge.access_log import AccessLog
    from scalix.edge.gate import Gate
    from scalix.edge.lifespan import Lifespan

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

    client: Any
    policy: PolicySource
    exchanges: Exchanges
    users: UserDirectory
    identity: Identity
    admission: Admission
    settlement: Settlement
    watch: StoreWatch
    administration: UserAdministration
    keys: KeyAdministration
    limits: LimitAdministration
    tokens: JsonWebTokens
    revocation: TokenRevocation
    merging: Merging
    trusted_proxies: Networks
    audit: AuditLog
    audit_reading: AuditReading
    identity_events: IdentityEvents

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
        ]

    async def close(self) -> None:
        """Finish what is under way, leave the rest on disk, and let go of the store."""
        await self.settlement.finish_late(LATE_SETTLEMENTS_WAIT_S)
        await self.watch.close()
        try:
            await self.identity_events.flush(everything=True)
        except StoreUnavailable as fault:
            log.warning("the last refusals of identity are not in the audit log: %s", fault)
        await self.client.aclose()


def build_core(environ: Mapping[str, str], *, facts: Callable[[Model], Model]) -> Core:
    """Everything below the edge, from the variables that the launcher sets. Raises `LaunchError`."""
    client = connect(_needed(environ, "SCALIX_STORE_URL"))
    keys = Keys(environ.get("SCALIX_KEY_PREFIX") or DEFAULT_KEY_PREFIX)
    breaker = Breaker()
    quotas = guarded(RedisQuotaStore(client, keys), breaker)
    user_store = guarded(RedisUserStore(client, keys, sealing=_sealing(environ)), breaker)
    journal = open_journal(environ)
    outage = Outage(LocalCounters(now_ms), journal)
    policy = PolicySource(_policy(environ))
    exchanges = Exchanges()
    known = KnownRefusals()
    users = UserDirectory(user_store, policy)
    key_store = guarded(RedisKeyStore(client, keys, sealing=_sealing(environ)), breaker)
    virtual_keys = VirtualKeys(key_store, users, now_ms=now_ms)
    audit_store = guarded(RedisAuditStore(client, keys), breaker)
    audit = AuditLog(audit_store, Sealer(audit_keys(environ.get("SCALIX_AUDIT_KEY"))), policy, now_ms=now_ms)
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
        _needed(environ, "LITELLM_MASTER_KEY"),
        environ.get("LITELLM_MASTER_KEY_PREVIOUS"),
        on_previous=events.previous_key,
    )
    kinds: list[CredentialKind] = [master, virtual_keys, tokens]
    key_administration = KeyAdministration(key_store, virtual_keys, policy, audit, now_ms=now_ms)
    if settings.anonymous_tier is not None:
        kinds.append(AnonymousCallers(policy, settings.anonymous_tier))
    settlement = Settlement(quotas, exchanges, outage)
    watch = StoreWatch(
        quotas,
        guarded(RedisEpoch(client, keys), breaker),
        breaker,
        journal,
        when_away=client.reconnect,
        when_back=settlement.renew_leases,
    )
    return Core(
        client=client,
        watch=watch,
        policy=policy,
        exchanges=exchanges,
        users=users,
        identity=Identity(kinds, users),
        admission=Admission(quotas, users, policy, exchanges, outage, facts=facts, known=known),
        settlement=settlement,
        administration=UserAdministration(
            user_store, quotas, users, policy, audit, delete_keys_of=key_administration.delete_all_of
        ),
        keys=key_administration,
        limits=LimitAdministration(user_store, quotas, users, policy, audit, forget_refusals=known.forget),
        tokens=tokens,
        revocation=TokenRevocation(user_store, users, audit, now_ms=now_ms),
        merging=Merging(quotas, audit),
        trusted_proxies=Networks(settings.trusted_proxies),
        audit=audit,
        audit_reading=AuditReading(audit_store),
        identity_events=events,
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
        Path(_needed(environ, "SCALIX_CONFIG")),
        environ,
        demo=environ.get("SCALIX_DEMO") == "1",
        production=environ.get("SCALIX_ENV") == "production",
    )


def preload() -> None:
    """Import what every worker needs, for a process that forks them. Starts nothing."""
    import scalix.edge.gate
    import scalix.litellm_adapter.app
    import scalix.litellm_adapter.callbacks
    import scalix.litellm_adapter.joining_clients  # noqa: F401
    from scalix.litellm_adapter.app import load_app

    load_app()


def create_app() -> Any:
    """The worker's ASGI app: LiteLLM's, inside our edge. Raises `LaunchError`."""
    from scalix.edge.access_log import AccessLog, to_standard_error
    from scalix.edge.lifespan import Lifespan
    from scalix.litellm_adapter.app import check_models, load_app, model_facts, token_counter
    from scalix.litellm_adapter.bridge import Services, bridge
    from scalix.litellm_adapter.heap import freeze_heap
    from scalix.litellm_adapter.joining_clients import JoiningClients
    from scalix.litellm_adapter.quiet_logs import quiet_litellm_logs
    from scalix.litellm_adapter.trimming import trim
    from scalix.litellm_adapter.warm_up import warm_up

    inner = load_app()
    if _is_on("SCALIX_TRIM_LITELLM"):
        trim(inner, Path(_needed(os.environ, "CONFIG_FILE_PATH")).read_text(encoding="utf-8"))
    if os.environ.get("LITELLM_LOG") != "DEBUG":
        quiet_litellm_logs()
    core = build_core(os.environ, facts=model_facts())
    bridge.install(Services(core.identity, core.admission, core.settlement, core.exchanges, under_edge=True))

    window_ms = int(os.environ.get("SCALIX_STREAM_JOIN_MS") or DEFAULT_STREAM_JOIN_MS)
    bridge.joining = joining = JoiningClients(window_ms) if window_ms else None
    internal_token = os.environ["LITELLM_MASTER_KEY"]
    access = AccessLog(to_standard_error, internal_token) if _is_on("SCALIX_ACCESS_LOG") else None

    async def warm() -> None:
        await warm_up(inner, next(iter(core.policy.current.models), ""), internal_token)

    async def end_access_log() -> None:
        if access is not None:
            access.close()

    lifespan = Lifespan(
        every=core.jobs,
        at_start=[*([joining.open] if joining else []), warm, freeze_heap],
        at_end=[core.close, *([joining.aclose] if joining else []), end_access_log],
    )

    def reload() -> int:
        number, policy = read_policy(Path(_needed(os.environ, "SCALIX_POLICY")))
        core.policy.replace(policy)
        return number

    return build_gate(
        core,
        inner,
        lifespan,
        internal_token=internal_token,
        count_tokens=token_counter(),
        check_models=check_models,
        reload=reload,
        access=access,
    )


def build_gate(
    core: Core,
    inner: Any,
    lifespan: "Lifespan",
    *,
    internal_token: str,
    count_tokens: Callable[[str, str], int],
    check_models: Callable[[], Awaitable[Any]],
    reload: Callable[[], int] = lambda: 0,
    access: "AccessLog | None" = None,
) -> "Gate":
    """The edge around `inner`, an app in LiteLLM's place that takes `internal_token`."""
    from scalix.edge.asgi import address_of
    from scalix.edge.client_address import ClientAddresses
    from scalix.edge.errors import status_of
    from scalix.edge.forwarding import Forwarding
    from scalix.edge.gate import Gate
    from scalix.edge.guard import Guard
    from scalix.edge.key_routes import KeyRoutes
    from scalix.edge.operator_routes import OperatorRoutes
    from scalix.edge.own_routes import OwnRoutes
    from scalix.edge.routes import shown_path

    async def ready() -> Mapping[str, str | int]:
        return {"litellm": "ok" if lifespan.is_up else "starting", "store": await _store_state(core), **_emptied(core)}

    def on_refusal(error: GatewayError, scope: Any) -> None:
        if status_of(error) in (401, 403) and error.code != "model_not_allowed":
            address = address_of(scope)
            core.identity_events.refused(error.code, address, error.who, shown_path(scope["path"]))

    own = OwnRoutes(
        core.identity,
        OperatorRoutes(
            core.identity,
            core.administration,
            core.limits,
            core.revocation,
            core.merging,
            core.audit_reading,
            KeyRoutes(core.keys),
        ),
        core.policy,
        ready=ready,
        check_models=check_models,
        version=scalix.__version__,
    )
    addresses = ClientAddresses(core.trusted_proxies)
    guard = Guard(core.policy, addresses, LoadShedding(), Throttle(time.monotonic))
    forwarding = Forwarding(
        inner,
        core.identity,
        core.admission,
        core.settlement,
        internal_token=internal_token,
        count_tokens=count_tokens,
        now_ms=now_ms,
        guard=guard,
    )
    return Gate(
        inner,
        core.identity,
        forwarding,
        own,
        lifespan,
        now_ms=now_ms,
        addresses=addresses,
        guard=guard,
        on_refusal=on_refusal,
        reload=reload,
        access=access,
    )


def ensure_plain_services() -> None:
    """Plain mode (`litellm --config` without the edge): the hooks' services, unless the edge has installed its own."""
    from scalix.edge.lifespan import start_jobs
    from scalix.litellm_adapter.app import model_facts
    from scalix.litellm_adapter.bridge import Services, bridge

    if bridge.services is not None:
        return
    core = build_core(_plain_environment(os.environ), facts=model_facts())
    bridge.install(Services(core.identity, core.admission, core.settlement, core.exchanges, under_edge=False))
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return  # imported by a tool, not by a proxy that serves
    start_jobs(core.jobs)


def _plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    from scalix.launch.redis_url import redis_url

    values = dict(environ)
    values.setdefault("SCALIX_CONFIG", values.get("CONFIG_FILE_PATH") or "litellm_proxy_config.yaml")
    if "SCALIX_STORE_URL" not in values:
        problems: list[Problem] = []

        def report(name: str, what: str, fix: str) -> None:
            problems.append(Problem(name, what, fix))

        url = redis_url(values, report)
        if problems:
            raise LaunchError(problems)
        if url is None:
            fix = "set REDIS_URL, or start the gateway with start_scalix_litellm.py, which brings a store"
            raise LaunchError([Problem("environment", "no store is named", fix)])
        values["SCALIX_STORE_URL"] = url
    return values


async def _store_state(core: Core) -> str:
    if not core.watch.store_is_there:
        return "unreachable"
    try:
        async with in_time():
            await core.client.ping()
    except StoreUnavailable:
        return "unreachable"
    return "ok"


def _emptied(core: Core) -> dict[str, int]:
    """How often this process has found the store emptied, if it has."""
    return {"store_emptied": core.watch.times_emptied} if core.watch.times_emptied else {}


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


def _is_on(name: str) -> bool:
    """Whether a setting that is on by default has not been switched off."""
    return os.environ.get(name, "").strip().lower() not in ("0", "false", "no", "off")


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise LaunchError([Problem("environment", f"{name} is not set", "start with start_scalix_litellm.py")])
    return value
