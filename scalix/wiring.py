"""The composition root: the one place that picks implementations and puts them together."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import scalix
from scalix.domain.policy import Model
from scalix.launch.config_file import read_config
from scalix.launch.problems import LaunchError, Problem
from scalix.service.administration import UserAdministration
from scalix.service.admission import Admission
from scalix.service.exchanges import Exchanges
from scalix.service.identity import Identity, MasterKey
from scalix.service.policy_source import PolicySource
from scalix.service.settlement import RENEW_EVERY_S, SWEEP_EVERY_S, Settlement
from scalix.service.users import UserDirectory
from scalix.store.base import StoreUnavailable
from scalix.store.keys import Keys
from scalix.store.redis_client import connect, in_time
from scalix.store.redis_quota import RedisQuotaStore
from scalix.store.redis_users import RedisUserStore

DEFAULT_KEY_PREFIX = "scalix:"
LATE_SETTLEMENTS_WAIT_S = 2.0


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
    administration: UserAdministration


def build_core(environ: Mapping[str, str], *, facts: Callable[[Model], Model]) -> Core:
    """Everything below the edge, from the variables that the launcher sets. Raises `LaunchError`."""
    config = read_config(
        Path(_needed(environ, "SCALIX_CONFIG")),
        environ,
        demo=environ.get("SCALIX_DEMO") == "1",
        production=environ.get("SCALIX_ENV") == "production",
    )
    client = connect(_needed(environ, "SCALIX_STORE_URL"))
    keys = Keys(environ.get("SCALIX_KEY_PREFIX") or DEFAULT_KEY_PREFIX)
    quotas, user_store = RedisQuotaStore(client, keys), RedisUserStore(client, keys)
    policy = PolicySource(config.policy)
    exchanges = Exchanges()
    users = UserDirectory(user_store, policy)
    return Core(
        client=client,
        policy=policy,
        exchanges=exchanges,
        users=users,
        identity=Identity([MasterKey(_needed(environ, "LITELLM_MASTER_KEY"))], users),
        admission=Admission(quotas, users, policy, exchanges, facts=facts),
        settlement=Settlement(quotas, exchanges),
        administration=UserAdministration(user_store, quotas, users, policy),
    )


def create_app() -> Any:
    """The worker's ASGI app: LiteLLM's, inside our edge. Raises `LaunchError`."""
    from scalix.edge.forwarding import Forwarding
    from scalix.edge.gate import Gate
    from scalix.edge.lifespan import Lifespan
    from scalix.edge.own_routes import OwnRoutes
    from scalix.litellm_adapter.app import check_models, load_app, model_facts, token_counter
    from scalix.litellm_adapter.bridge import Services, bridge
    from scalix.litellm_adapter.quiet_logs import quiet_litellm_logs

    inner = load_app()
    if os.environ.get("LITELLM_LOG") != "DEBUG":
        quiet_litellm_logs()
    core = build_core(os.environ, facts=model_facts())
    bridge.install(Services(core.identity, core.admission, core.settlement, core.exchanges, under_edge=True))

    async def close() -> None:
        await core.client.aclose()

    lifespan = Lifespan(
        every=[(RENEW_EVERY_S, core.settlement.renew_leases), (SWEEP_EVERY_S, core.settlement.sweep)],
        at_end=[lambda: core.settlement.finish_late(LATE_SETTLEMENTS_WAIT_S), close],
    )

    async def ready() -> Mapping[str, str]:
        return {"litellm": "ok" if lifespan.is_up else "starting", "store": await _store_state(core.client)}

    own = OwnRoutes(
        core.identity,
        core.administration,
        core.policy,
        ready=ready,
        check_models=check_models,
        version=scalix.__version__,
    )
    forwarding = Forwarding(
        inner,
        core.identity,
        core.admission,
        core.settlement,
        internal_token=os.environ["LITELLM_MASTER_KEY"],
        count_tokens=token_counter(),
        now_ms=now_ms,
    )
    return Gate(inner, core.identity, forwarding, own, lifespan, now_ms=now_ms)


def ensure_plain_services() -> None:
    """Plain mode (`litellm --config` without the edge): the hooks' services, unless the edge has installed its own."""
    from scalix.litellm_adapter.app import model_facts
    from scalix.litellm_adapter.bridge import Services, bridge

    if bridge.services is not None:
        return
    core = build_core(_plain_environment(os.environ), facts=model_facts())
    bridge.install(Services(core.identity, core.admission, core.settlement, core.exchanges, under_edge=False))


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


async def _store_state(client: Any) -> str:
    try:
        async with in_time():
            await client.ping()
    except StoreUnavailable:
        return "unreachable"
    return "ok"


def _needed(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise LaunchError([Problem("environment", f"{name} is not set", "start with start_scalix_litellm.py")])
    return value
