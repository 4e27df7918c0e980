"""Builds everything below the edge: the store, the services, and their background jobs."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scalix.service.audit.audit_log import TRIM_EVERY_S
from scalix.service.audit.audit_parts import AuditParts
from scalix.service.audit.identity_events import FLUSH_EVERY_S
from scalix.service.backup.schedule import LOOK_EVERY_S as BACKUPS_EVERY_S
from scalix.service.backup.schedule import BackupSchedule
from scalix.service.deployments.health_checks import CHECK_EVERY_S as HEALTH_EVERY_S
from scalix.service.deployments.load import PUBLISH_EVERY_S
from scalix.service.deployments.sums import FLUSH_EVERY_S as SUMS_EVERY_S
from scalix.service.exchange.cooldowns import REFRESH_EVERY_S as COOLDOWNS_EVERY_S
from scalix.service.exchange.settlement import RENEW_EVERY_S, SWEEP_EVERY_S
from scalix.service.exchange.store_watch import CHECK_EVERY_S, REPLAY_EVERY_S
from scalix.service.identity.tokens import REFRESH_EVERY_S
from scalix.service.ledger.archive import ARCHIVE_EVERY_S
from scalix.service.ledger.in_time import LIST_EVERY_S
from scalix.service.ledger.retention import TRY_EVERY_S as RETENTION_EVERY_S
from scalix.service.ledger.store_memory import LOOK_EVERY_S
from scalix.service.metrics.meters import Meters
from scalix.service.policy_source import PolicySource
from scalix.service.usage.days import ADD_UP_EVERY_S
from scalix.store.base import StoreUnavailable
from scalix.store.metric_cells import FOLDER
from scalix.wiring.administration import AdministrationParts, build_administration
from scalix.wiring.backup import build_schedule
from scalix.wiring.environment import needed
from scalix.wiring.exchange import ExchangeParts, ModelKnowledge, build_exchange
from scalix.wiring.identity import CallerParts, build_audit, build_callers
from scalix.wiring.ledger import LedgerParts, build_ledger
from scalix.wiring.privacy import PrivacyParts, build_privacy
from scalix.wiring.self_service import SelfServiceParts, build_self_service
from scalix.wiring.store import StoreParts, build_store
from scalix.wiring.usage import UsageParts, build_usage

LATE_SETTLEMENTS_WAIT_S = 2.0

log = logging.getLogger("scalix.wiring")


@dataclass(frozen=True)
class Core:
    """The use cases of one process, and the store that they share."""

    policy: PolicySource
    store: StoreParts
    audit: AuditParts
    callers: CallerParts
    exchange: ExchangeParts
    administration: AdministrationParts
    ledger: LedgerParts
    private: PrivacyParts
    self_service: SelfServiceParts
    usage: UsageParts
    backups: BackupSchedule
    models: ModelKnowledge
    is_production: bool = False

    @property
    def jobs(self) -> list[tuple[float, Callable[[], Awaitable[object]]]]:
        """The background jobs, each with its interval in seconds."""
        return [
            (RENEW_EVERY_S, self.exchange.settlement.renew_leases),
            (SWEEP_EVERY_S, self.exchange.settlement.sweep),
            (CHECK_EVERY_S, self.exchange.watch.check),
            (REPLAY_EVERY_S, self.exchange.watch.replay),
            (REFRESH_EVERY_S, self.callers.tokens.refresh),
            (FLUSH_EVERY_S, self.audit.events.flush),
            (TRIM_EVERY_S, self.audit.log.trim),
            (RETENTION_EVERY_S, self.private.retention.run_daily),
            (LOOK_EVERY_S, self.ledger.memory.look),
            (ARCHIVE_EVERY_S, self.ledger.archive.run),
            (LIST_EVERY_S, self.ledger.in_time.run),
            (ADD_UP_EVERY_S, self.usage.today.days.add_up),
            (BACKUPS_EVERY_S, self.backups.run),
            (COOLDOWNS_EVERY_S, self.exchange.fallbacks.cooldowns.refresh),
            (HEALTH_EVERY_S, self.exchange.health.run),
            (PUBLISH_EVERY_S, self.exchange.fallbacks.chooser.publish),
            (SUMS_EVERY_S, self.exchange.deployments.flush),
            (0.0, self.usage.gauges.run),
        ]

    async def close(self) -> None:
        """Finish what is in flight, leave the rest in the journal, and close the store."""
        await self.exchange.settlement.finish_late(LATE_SETTLEMENTS_WAIT_S)
        await self.exchange.watch.close()
        await self.exchange.deployments.flush()
        try:
            await self.audit.events.flush(everything=True)
        except StoreUnavailable as fault:
            log.warning("the last refusals of identity are not in the audit log: %s", fault)
        await self.store.close()
        self.usage.meters.close()


def build_core(environ: Mapping[str, str], models: ModelKnowledge) -> Core:
    """Build everything below the edge from the variables that the launcher sets. Raises `LaunchError`."""
    store = build_store(environ)
    audit = build_audit(store, environ)
    callers = build_callers(store, audit, environ)
    meters = Meters(store.state_dir / FOLDER, store.policy)
    store.breaker.called = meters.called
    store.breaker.failed = partial(meters.count, "redis_errors_total")
    store.breaker.opened = partial(meters.count, "redis_breaker_opened_total")
    exchange = build_exchange(store, models, meters, needed(environ, "LITELLM_MASTER_KEY"), _config_folder(environ))
    forget = exchange.known.forget
    administration = build_administration(store, audit.log, callers, environ, forget_refusals=forget)
    ledger = build_ledger(store, audit.log)
    backups = build_schedule(store, environ)
    replay = exchange.watch.replay
    private = build_privacy(store, audit, callers, ledger.archive, replay=replay, note=backups.note_erasure)
    self_service = build_self_service(store, administration, private.privacy)
    usage = build_usage(store, callers.users, exchange, meters)
    usage.metrics.of_store.append(backups.gauges)
    return Core(
        *(store.policy, store, audit, callers, exchange, administration, ledger, private),
        *(self_service, usage, backups, models, environ.get("SCALIX_ENV") == "production"),
    )


def _config_folder(environ: Mapping[str, str]) -> str:
    """Where the operator's own modules are: beside the config file."""
    return str(Path(environ.get("SCALIX_CONFIG") or ".").absolute().parent)
