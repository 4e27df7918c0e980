"""Builds authentication, with the accepted kinds of credentials and the users behind them, and the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass

from scalix.domain.ledger.audit_chain import Sealer, audit_keys
from scalix.edge.client_address import ClientAddresses
from scalix.service.audit.audit_log import AuditLog
from scalix.service.audit.audit_names import AuditNames
from scalix.service.audit.audit_parts import AuditParts
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.audit.identity_events import IdentityEvents
from scalix.service.clock import now_ms
from scalix.service.identity.holders import Holders
from scalix.service.identity.identity import AnonymousCallers, CredentialKind, Identity, MasterKey
from scalix.service.identity.sign_ins import SignIns
from scalix.service.identity.tokens import JsonWebTokens, tokens_of
from scalix.service.identity.users import UserDirectory
from scalix.service.identity.virtual_keys import VirtualKeys
from scalix.store.records.pseudonyms import PseudonymStore
from scalix.store.records.redis_audit import AuditStore
from scalix.store.records.redis_sign_ins import SignInStore
from scalix.wiring.environment import needed
from scalix.wiring.store import StoreParts


@dataclass(frozen=True)
class CallerParts:
    """What turns the credential of a request into a caller."""

    identity: Identity
    users: UserDirectory
    virtual_keys: VirtualKeys
    tokens: JsonWebTokens
    sign_ins: SignIns
    addresses: ClientAddresses


def build_audit(store: StoreParts, environ: Mapping[str, str]) -> AuditParts:
    """Build the audit log, sealed with the operator's key."""

    entries = store.guarded(AuditStore(store.session))
    names = AuditNames(store.guarded(PseudonymStore(store.session, store.pseudonyms)))
    sealer = Sealer(audit_keys(environ.get("SCALIX_AUDIT_KEY")))
    log = AuditLog(entries, sealer, store.policy, now_ms=now_ms, pseudonyms=names)
    return AuditParts(log, AuditReading(entries, names), names, IdentityEvents(log, now_ms=now_ms))


def build_callers(store: StoreParts, audit: AuditParts, environ: Mapping[str, str]) -> CallerParts:
    """Build the kinds of credentials that the config names. Raises `LaunchError`."""
    users = UserDirectory(store.users, store.policy)
    virtual_keys = VirtualKeys(store.keys, users, now_ms=now_ms)
    issuers = store.policy.current.issuers
    tokens = tokens_of(issuers, users, secrets=environ, state_dir=store.state_dir, now_ms=now_ms)
    master_key, previous_key = needed(environ, "LITELLM_MASTER_KEY"), environ.get("LITELLM_MASTER_KEY_PREVIOUS")
    master = MasterKey(
        master_key,
        previous_key,
        on_previous=audit.events.previous_key,
        on_published=audit.events.published_key,
    )
    kinds: list[CredentialKind] = [master, virtual_keys, tokens]
    identity = Identity(kinds, AnonymousCallers(store.policy), users)
    masters = [key for key in (master_key, previous_key) if key]
    holders = Holders(identity, virtual_keys, tokens, users, masters)
    sign_ins = SignIns(store.guarded(SignInStore(store.session)), holders, audit.log, store.policy, now_ms)
    addresses = ClientAddresses(store.policy.current.trusted_proxies)
    return CallerParts(identity, users, virtual_keys, tokens, sign_ins, addresses)
