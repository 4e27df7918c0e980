"""Builds the use cases of operators: users, keys, limits, tokens, balances."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scalix.domain.identity.subjects import user_subject
from scalix.service.administration.administration import UserAdministration
from scalix.service.administration.balances import Balances
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.limit_administration import LimitAdministration
from scalix.service.administration.merging import Merging
from scalix.service.administration.resealing import SecretsAdministration
from scalix.service.administration.token_revocation import TokenRevocation
from scalix.service.administration.user_records import UserRecords
from scalix.service.audit.audit import Actor
from scalix.service.audit.audit_log import AuditLog
from scalix.service.clock import now_ms
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.records.redis_resealing import ResealingStore
from scalix.store.records.sealing import encryption_keys
from scalix.wiring.identity import CallerParts
from scalix.wiring.store import StoreParts


@dataclass(frozen=True)
class AdministrationParts:
    """The use cases behind the operator's routes. Each of them writes to the audit log."""

    users: UserAdministration
    keys: KeyAdministration
    secrets: SecretsAdministration
    limits: LimitAdministration
    revocation: TokenRevocation
    merging: Merging
    balances: Balances


def build_administration(
    store: StoreParts,
    audit: AuditLog,
    callers: CallerParts,
    environ: Mapping[str, str],
    *,
    forget_refusals: Callable[[str], None],
) -> AdministrationParts:
    """Build the use cases. `forget_refusals` drops the cached refusals of a subject."""
    users, policy = callers.users, store.policy
    keys = KeyAdministration(store.keys, callers.virtual_keys, policy, audit, now_ms)
    resealing = store.guarded(ResealingStore(store.session, store.sealing))
    is_sealing = bool(encryption_keys(environ.get("SCALIX_ENCRYPTION_KEY")))
    records = UserRecords(store.users, store.quotas, users, policy, audit)

    async def end_access(user_id: str, by: Actor) -> None:
        await keys.delete_all_of(user_id, by)
        await callers.sign_ins.store.end_all(user_subject(user_id))

    return AdministrationParts(
        users=UserAdministration(records, end_access),
        keys=keys,
        secrets=SecretsAdministration(resealing, audit, is_sealing=is_sealing),
        limits=LimitAdministration(records, forget_refusals),
        revocation=TokenRevocation(records, now_ms),
        merging=Merging(store.quotas, audit),
        balances=Balances(store.guarded(BalanceStore(store.session)), audit),
    )
