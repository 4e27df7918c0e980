"""The worker's app: LiteLLM's, inside our edge."""

import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalix.domain.error_statuses import status_of
from scalix.domain.errors import GatewayError
from scalix.domain.faults import shown_fault
from scalix.launch.config.policy_file import read_policy
from scalix.launch.processes.log_format import adopt_litellms_loggers
from scalix.launch.processes.untrimmed import CantTrim
from scalix.launch.settings.environment import DEFAULT_STREAM_JOIN_MS
from scalix.service.answers.pressure import Pressure
from scalix.service.clock import now_ms
from scalix.service.identity.throttle import Throttle
from scalix.store.base import StoreUnavailable
from scalix.store.connection.calls import in_time
from scalix.wiring.core import Core, build_core
from scalix.wiring.environment import needed
from scalix.wiring.exchange import ModelKnowledge
from scalix.wiring.traces import build_sending, build_traces

if TYPE_CHECKING:
    from scalix.domain.engines import Engine as ModelEngine
    from scalix.domain.requests.routes import Route
    from scalix.edge.access_log import AccessLog
    from scalix.edge.asgi import ASGIApp
    from scalix.edge.asking import AppOf
    from scalix.edge.gate import Gate
    from scalix.edge.lifespan import Lifespan
    from scalix.edge.stored_answers import FindKeeper
    from scalix.edge.traces import Traces


def preload() -> None:
    """Import what every worker needs, for a process that forks them. Starts nothing."""
    import scalix.edge.gate
    from scalix.litellm_adapter.app import load_app

    load_app()
    import scalix.direct_engine.engine
    import scalix.litellm_adapter.callbacks
    import scalix.litellm_adapter.direct_requests
    import scalix.litellm_adapter.shared_client
    import scalix.litellm_adapter.trimming
    import scalix.litellm_adapter.warm_up
    import scalix.wiring.pages
    import scalix.wiring.routes  # noqa: F401
    from scalix.litellm_adapter.late_parts import load_late_parts

    load_late_parts()


def create_app() -> Any:
    """The worker's ASGI app: LiteLLM's, inside our edge. Raises `LaunchError`."""
    from scalix.edge.access_log import AccessLog, to_standard_error
    from scalix.edge.lifespan import Lifespan
    from scalix.litellm_adapter.app import load_app, model_facts, original_id

    inner = load_app()  # says what LiteLLM lacks before anything of ours asks for it
    from scalix.direct_engine.engine import FIRST_WAIT_S, DirectEngine
    from scalix.litellm_adapter.bridge import Services, bridge
    from scalix.litellm_adapter.direct_requests import DirectRequests
    from scalix.litellm_adapter.health_checks import check_deployment, check_models
    from scalix.litellm_adapter.heap import freeze_heap
    from scalix.litellm_adapter.known_fields import known_fields
    from scalix.litellm_adapter.quiet_logs import quiet_litellm_logs, quiet_prints
    from scalix.litellm_adapter.shared_client import SharedClient
    from scalix.litellm_adapter.stored_answers import stored_answer
    from scalix.litellm_adapter.tokenizers import tokenizer
    from scalix.litellm_adapter.trimming import parts_of, trim
    from scalix.litellm_adapter.warm_up import warm_up, warm_up_direct

    parts = parts_of(os.environ.get("SCALIX_TRIM_LITELLM", ""))
    try:
        inner = trim(inner, Path(needed(os.environ, "CONFIG_FILE_PATH")).read_text(encoding="utf-8"), parts)
    except (AttributeError, ImportError, TypeError) as error:
        raise CantTrim(f"LiteLLM can't be trimmed: {shown_fault(error)}") from error
    adopt_litellms_loggers()
    quiet_prints()
    if os.environ.get("LITELLM_LOG") != "DEBUG":
        quiet_litellm_logs()
    core = build_core(
        os.environ, ModelKnowledge(model_facts(), tokenizer(), original_id, known_fields(), check_deployment)
    )
    part = core.exchange
    bridge.services = Services(core.callers.identity, part.admission, part.settlement, part.exchanges, under_edge=True)

    window_ms = int(os.environ.get("SCALIX_STREAM_JOIN_MS") or DEFAULT_STREAM_JOIN_MS)
    bridge.pressure = Pressure(window_ms) if window_ms else None
    client, requests = SharedClient(), DirectRequests()
    # LiteLLM's variable for its own retries.
    first_wait_s = float(os.environ.get("INITIAL_RETRY_DELAY") or FIRST_WAIT_S)
    direct = DirectEngine(inner, requests.build, requests.ask, first_wait_s=first_wait_s)

    def app_of(engine: "ModelEngine", route: "Route") -> "ASGIApp":
        return direct if route in engine.direct else inner

    internal_token = os.environ["LITELLM_MASTER_KEY"]
    log_key = _log_key()
    sending = build_sending(os.environ, core.usage.meters.count)
    traces = build_traces(sending, os.environ, log_key) if sending is not None else None
    access = AccessLog(
        to_standard_error,
        log_key,
        as_json=os.environ.get("SCALIX_LOG_FORMAT") == "json",
        each_request=_is_on("SCALIX_ACCESS_LOG"),
    )

    async def warm() -> None:
        models = core.policy.current.models
        await warm_up(inner, next(iter(models), ""), internal_token, core.exchange.exchanges)
        await warm_up_direct(requests, [name for name, model in models.items() if model.engine.direct])

    async def end_access_log() -> None:
        access.close()

    def reload() -> int:
        number, policy = read_policy(Path(needed(os.environ, "SCALIX_POLICY")))
        core.callers.tokens.trust_only(policy.issuers)
        core.callers.addresses.trust_only(policy.trusted_proxies)
        core.policy.replace(policy)
        core.exchange.fallbacks.routing.custom.load()
        return number

    async def load_custom_routers() -> None:
        core.exchange.fallbacks.routing.custom.load()

    lifespan = Lifespan(
        inner,
        every=core.jobs,
        at_start=[
            core.exchange.watch.until_restored,
            client.open,
            requests.open,
            core.exchange.object_ids.ready,
            load_custom_routers,
            warm,
            freeze_heap,
        ],
        at_end=[core.close, client.aclose, end_access_log, *([sending.close] if sending is not None else [])],
        reload=reload,
    )
    engine = Engine(app_of, internal_token, lambda: check_models(core.policy.current.models.values()), stored_answer)
    token = os.environ.get("SCALIX_METRICS_TOKEN")
    return build_gate(core, engine, lifespan, access=access, traces=traces, metrics_token=token)


@dataclass(frozen=True, slots=True)
class Engine:
    """What asks providers, as the edge uses it.

    of: the app that is an engine on a route.
    internal_token: what LiteLLM's app knows the edge by.
    check_models: asks each model, for the operator.
    keeper_of: the deployment that keeps an answer.
    """

    of: "AppOf"
    internal_token: str
    check_models: Callable[[], Awaitable[Any]]
    keeper_of: "FindKeeper | None" = None


def build_gate(
    core: Core,
    engine: Engine,
    lifespan: "Lifespan",
    *,
    access: "AccessLog | None" = None,
    traces: "Traces | None" = None,
    metrics_token: str | None = None,
) -> "Gate":
    """The edge around an engine."""
    from scalix.edge.answering import Answering
    from scalix.edge.asgi import address_of
    from scalix.edge.asking import Asking, noop
    from scalix.edge.forwarding import Forwarding
    from scalix.edge.gate import Gate, Observers
    from scalix.edge.guard import Guard
    from scalix.edge.health_routes import HealthRoutes
    from scalix.edge.routes import shown_route
    from scalix.edge.stored_answers import keeps_nothing
    from scalix.wiring.pages import build_pages
    from scalix.wiring.routes import build_dispatcher

    async def ready() -> Mapping[str, str | int]:
        policy = core.policy.current
        return {
            "litellm": "ok" if lifespan.is_up else "starting",
            "store": await _store_state(core),
            **({} if policy.models or policy.wildcards else {"models": "none in service"}),
            **({"worker": "draining"} if lifespan.is_leaving else {}),
            **await _alarms(core),
            **core.backups.figures,
        }

    def refused(error: GatewayError, scope: Any) -> None:
        if status_of(error) in (401, 403) and error.code != "model_not_allowed":
            address = address_of(scope)
            path = shown_route(scope)
            core.audit.events.refused(error.code, address, error.who, path, error.reason)

    part, identity = core.exchange, core.callers.identity
    guard = Guard(core.policy, core.callers.addresses, part.shedding, Throttle(time.monotonic))
    health = HealthRoutes(identity, ready, engine.check_models, part.health.last, lambda: part.watch.was_there)
    own = build_dispatcher(core, guard, health, engine.keeper_of or keeps_nothing, metrics_token)
    asking = Asking(engine.of, part.settlement, engine.internal_token, access.failed if access is not None else noop)
    answering = Answering(asking, part.settlement, part.fallbacks, part.counting, part.object_ids, now_ms)
    forwarding = Forwarding(identity, part.admission, guard, part.fallbacks, part.object_ids, answering)
    gate = Gate(
        identity, forwarding, own, lifespan, guard, Observers(refused, core.usage.meters.refused, access, traces)
    )
    gate.pages = build_pages(core, guard, ready)
    return gate


def _log_key() -> str:
    """What keys the names of users in the log: the run's own, which all its workers share and nobody keeps."""
    return os.environ.get("SCALIX_LOG_KEY") or secrets.token_hex(16)


async def _store_state(core: Core) -> str:
    if trouble := core.exchange.watch.trouble:
        return trouble
    if not core.exchange.watch.store_is_there:
        return core.store.breaker.state
    try:
        async with in_time():
            await core.store.client.ping()
    except StoreUnavailable as fault:
        return fault.state
    return "ok"


async def _alarms(core: Core) -> dict[str, int]:
    """What is not well and keeps nobody from being served: how often this process has found the store emptied, how
    full it is, in percent, from 80 on, whether the journal can't be written, how full that is, how many deployments
    fail their health checks, and how many of the operator's functions that choose models are off here."""
    alarms = {
        "store_emptied": core.exchange.watch.times_emptied,
        "store_memory_percent": core.ledger.memory.alarm_percent,
        "journal_unwritable": int(core.store.journal.is_unwritable),
        "journal_percent": core.store.journal.alarm_percent,
        "deployments_failing": sum(one.is_failing for one in (await core.exchange.health.last()).values()),
        "custom_routers_off": sum(one.is_off for one in core.exchange.fallbacks.routing.custom.states()),
    }
    return {name: value for name, value in alarms.items() if value} | _models_at_rest(core)


def _models_at_rest(core: Core) -> dict[str, int]:
    """How many models rest after failures, and how many are left; nothing where none does. It makes nobody unready: all
    gateways would be at the same time, and a rest is over soon."""
    resting, models = core.exchange.fallbacks.cooldowns.models_resting(), core.policy.current.models
    return {"models_resting": resting, "models_in_service": len(models) - resting} if resting else {}


def _is_on(name: str) -> bool:
    """Whether a setting that is on by default has not been switched off."""
    return os.environ.get(name, "").strip().lower() not in ("0", "false", "no", "off")
