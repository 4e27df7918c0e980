"""Builds what a request to a model passes through: admission, the choice of a model, settlement."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from scalix.domain.policy import Model
from scalix.domain.requests.model_fields import EVERYTHING, KnownFields
from scalix.service.clock import now_ms
from scalix.service.deployments.chooser import Chooser
from scalix.service.deployments.health_checks import Check, HealthChecking, checks_nobody
from scalix.service.deployments.load import Load
from scalix.service.deployments.sums import SumsOfDeployments
from scalix.service.exchange.admission_control import AdmissionControl
from scalix.service.exchange.candidates import Fallbacks
from scalix.service.exchange.cooldowns import Cooldowns
from scalix.service.exchange.exchanges import Exchanges
from scalix.service.exchange.known_refusals import KnownRefusals
from scalix.service.exchange.load_shedding import LoadShedding
from scalix.service.exchange.model_access import ModelAccess
from scalix.service.exchange.model_routing import ModelRouting
from scalix.service.exchange.names_of_day import NamesOfDay
from scalix.service.exchange.object_ids import ObjectIds
from scalix.service.exchange.outage import Outage
from scalix.service.exchange.reservations import Reservations
from scalix.service.exchange.settlement import Settlement
from scalix.service.exchange.store_watch import StoreWatch
from scalix.service.exchange.token_counting import TokenCounting, Tokenizer
from scalix.service.exchange.tokens_left import TokensLeft
from scalix.service.metrics.meters import Meters
from scalix.service.routing.custom_routers import CustomRouters
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.quota.local import LocalCounters
from scalix.store.records.redis_cooldowns import CooldownStore
from scalix.store.records.redis_epoch import EpochStore
from scalix.store.records.redis_health import HealthStore
from scalix.store.records.redis_loads import LoadStore
from scalix.store.records.redis_model_names import ModelNameStore
from scalix.wiring.store import StoreParts


@dataclass(frozen=True)
class ModelKnowledge:
    """LiteLLM's knowledge of models, passed in since nothing below the edge may import LiteLLM. `facts` completes a
    configured model; `original_id` restores a provider's id that LiteLLM has rewritten; `known` says which fields of a
    request a model can be told; `check` asks a deployment for something small."""

    facts: Callable[[Model], Model]
    tokenizer: Tokenizer
    original_id: Callable[[str], str] = str
    known: KnownFields = lambda model, route: EVERYTHING
    check: Check = checks_nobody


@dataclass(frozen=True)
class ExchangeParts:
    """The use cases of one request, in the order in which it passes them."""

    shedding: LoadShedding
    counting: TokenCounting
    known: KnownRefusals
    admission: AdmissionControl
    fallbacks: Fallbacks
    object_ids: ObjectIds
    exchanges: Exchanges
    settlement: Settlement
    deployments: SumsOfDeployments
    watch: StoreWatch
    health: HealthChecking


def build_exchange(
    store: StoreParts, models: ModelKnowledge, meters: Meters, secret: str, folder: str
) -> ExchangeParts:
    """Build the use cases over the store, and over the journal while the store is unreachable. `secret` is the same in
    all workers of all gateways; `folder` is the config file's."""
    left = TokensLeft(store.quotas, now_ms)
    outage, exchanges = Outage(LocalCounters(now_ms), store.journal, left), Exchanges()
    counting, known = TokenCounting(models.tokenizer), KnownRefusals()
    names = NamesOfDay(store.guarded(ModelNameStore(store.session)), now_ms=now_ms)
    room = Reservations(store.quotas, outage, known)
    deployments = SumsOfDeployments(store.guarded(DeploymentSumStore(store.session)), store.policy)
    settlement = Settlement(
        store.quotas, exchanges, outage, policy=store.policy, deployments=deployments, meters=meters
    )
    cooldowns = Cooldowns(store.guarded(CooldownStore(store.session)), store.policy, clock=time.monotonic)
    load = Load(store.guarded(LoadStore(store.session)), time.monotonic, time.time)
    chooser = Chooser(cooldowns, load, store.policy, now_ms, secret=secret)
    routing = ModelRouting(store.policy, left, CustomRouters(store.policy, folder), now_ms, random.random)
    shedding = LoadShedding()
    shedding.queued = meters.queued
    return ExchangeParts(
        shedding=shedding,
        counting=counting,
        known=known,
        admission=AdmissionControl(store.policy, ModelAccess(models.facts), room, exchanges, counting, names),
        fallbacks=Fallbacks(store.policy, chooser, routing, facts=models.facts, now_ms=now_ms, known=models.known),
        object_ids=ObjectIds(store.pseudonyms, models.original_id),
        exchanges=exchanges,
        settlement=settlement,
        deployments=deployments,
        watch=StoreWatch(
            store.quotas,
            store.guarded(EpochStore(store.session)),
            store.breaker,
            store.journal,
            when_away=store.client.reconnect,
            when_back=settlement.renew_leases,
        ),
        health=HealthChecking(
            store.guarded(HealthStore(store.session)),
            cooldowns,
            store.policy,
            models.check,
            random.random,
            meters.checked,
        ),
    )
