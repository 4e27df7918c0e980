"""Builds what users do by themselves."""

from dataclasses import dataclass

from scalix.service.privacy.privacy import Privacy
from scalix.service.self_service.own_data import OwnData
from scalix.service.self_service.own_keys import SelfServiceKeys
from scalix.service.self_service.turns import Turns
from scalix.store.records.redis_turns import TurnStore
from scalix.wiring.administration import AdministrationParts
from scalix.wiring.store import StoreParts


@dataclass(frozen=True)
class SelfServiceParts:
    """The use cases of users. Each act is written to the audit log."""

    keys: SelfServiceKeys
    data: OwnData


def build_self_service(store: StoreParts, operators: AdministrationParts, privacy: Privacy) -> SelfServiceParts:
    """Build the use cases over those of operators."""
    turns = Turns(store.guarded(TurnStore(store.session, store.pseudonyms)))
    return SelfServiceParts(SelfServiceKeys(operators.keys, turns), OwnData(privacy, operators.users, turns))
