"""The composition root: the one place that picks implementations and puts them together."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import scalix
from scalix.domain.addresses import Networks
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
from scalix.service.audit import LoggedAudit
from scalix.service.exchanges import Exchanges
from scalix.service.identity import CredentialKind, Identity, MasterKey
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
from scalix.store.base import StoreUnavailable
from scalix.store.breaker import Breaker, guarded
from scalix.store.calls import in_time
from scalix.store.journal import MAX_BYTES as JOURNAL_MAX_BYTES
from scalix.store.journal import Journal
from scalix.store.keys import Keys
from scalix.store.local import LocalCounters
from scalix.store.redis_client import connect
from scalix.store.redis_epoch import RedisEpoch
from scalix.store.redis_quota import RedisQuotaStore
from scalix.store.redis_users import RedisUserStore

if TYPE_CHECKING:
    from scalix.edge.gate import Gate
    from scalix.edge.lifespan import Lifespan

DEFAULT_KEY_PREFIX = "scalix:"
LATE_SETTLEMENTS_WAIT_S = 2.0
LEAST_JOURNAL_BYTES = 1024 * 1024


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
    limits: LimitAdministration
    tokens: JsonWebTokens
    revocation: TokenRevocation
    merging: Merging
    trusted_proxies: Networks

    @property
    def jobs(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """What has to run all the time, each with its pause in seconds."""
        return [
            (RENEW_EVERY_S, self.settlement.renew_leases),
            (SWEEP_EVERY_S, self.settlement.sweep),
            (CHECK_EVERY_S, self.watch.check),
            (REPLAY_EVERY_S, self.watch.replay),
            (REFRESH_EVERY_S, self.tokens.refresh),
        ]

    async def close(self) -> None:
        """Finish what is under way, leave the rest on disk, and let go of the store."""
        await self.settlement.finish_late(LATE_SETTLEMENTS_WAIT_S)
        await self.watch.close()
        await self.client.aclose()


def build_core(environ: Mapping[str, str], *, facts: Callable[[Model], Model]) -> Core:
    """Everything below the edge, from the variables that the launcher sets. Raises `LaunchError`."""
    client = connect(_needed(environ, "SCALIX_STORE_URL"))
    keys = Keys(environ.get("SCALIX_KEY_PREFIX") or DEFAULT_KEY_PREFIX)
    breaker = Breaker()
    quotas = guarded(RedisQuotaStore(client, keys), breaker)
    user_store = guarded(RedisUserStore(client, keys), breaker)
    journal = open_journal(environ)
    outage = Outage(LocalCounters(now_ms), journal)
    policy = PolicySource(_policy(environ))
    exchanges = Exchanges()
    known = KnownRefusals()
    users = UserDirectory(user_store, policy)
    audit = LoggedAudit()
    settings = _identity_settings(environ)
    tokens = tokens_of(
        settings.issuers,
        users,
        secrets=environ,
        state_dir=Path(environ.get("SCALIX_STATE_DIR") or ".scalix"),
        now_ms=now_ms,
    )
    kinds: list[CredentialKind] = [MasterKey(_needed(environ, "LITELLM_MASTER_KEY")), tokens]
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
        administration=UserAdministration(user_store, quotas, users, policy, audit),
        limits=LimitAdministration(
            user_store, quotas, users, policy, audit, forget_refusals=known.forget
        ),
        tokens=tokens,
        revocation=TokenRevocation(user_store, users, audit, now_ms=now_ms),
        merging=Merging(quotas, audit),
        trusted_proxies=Networks(settings.trusted_proxies),
    )


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


def create_app() -> Any:
    """The worker's ASGI app: LiteLLM's, inside our edge. Raises `LaunchError`."""
    from scalix.edge.lifespan import Lifespan
    from scalix.litellm_adapter.app import check_models, load_app, model_facts, token_counter
    from scalix.litellm_adapter.bridge import Services, bridge
    from scalix.litellm_adapter.joining_clients import JoiningClients
    from scalix.litellm_adapter.quiet_logs import quiet_litellm_logs

    inner = load_app()
    if os.environ.get("LITELLM_LOG") != "DEBUG":
        quiet_litellm_logs()
    core = build_core(os.environ, facts=model_facts())
    bridge.install(Services(core.identity, core.admission, core.settlement, core.exchanges, under_edge=True))

    window_ms = int(os.environ.get("SCALIX_STREAM_JOIN_MS") or DEFAULT_STREAM_JOIN_MS)
    bridge.joining = joining = JoiningClients(window_ms) if window_ms else None

    lifespan = Lifespan(
        every=core.jobs,
        at_start=[joining.open] if joining else [],
        at_end=[
            core.close,
            *([joining.aclose] if joining else []),
        ],
    )

    def reload() -> int:
        number, policy = read_policy(Path(_needed(os.environ, "SCALIX_POLICY")))
        core.policy.replace(policy)
        return number

    return build_gate(
        core,
        inner,
        lifespan,
        internal_token=os.environ["LITELLM_MASTER_KEY"],
        count_tokens=token_counter(),
        check_models=check_models,
        reload=reload,
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
) -> "Gate":
    """The edge around `inner`, an app in LiteLLM's place that takes `internal_token`."""
    from scalix.edge.client_address import ClientAddresses
    from scalix.edge.forwarding import Forwarding
    from scalix.edge.gate import Gate
    from scalix.edge.guard import Guard
    from scalix.edge.operator_routes import OperatorRoutes
    from scalix.edge.own_routes import OwnRoutes

    async def ready() -> Mapping[str, str | int]:
        return {"litellm": "ok" if lifespan.is_up else "starting", "store": await _store_state(core), **_emptied(core)}

    own = OwnRoutes(
        core.identity,
        OperatorRoutes(core.identity, core.administration, core.limits, core.revocation, core.merging),
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
        reload=reload,
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


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise LaunchError([Problem("environment", f"{name} is not set", "start with start_scalix_litellm.py")])
    return value
