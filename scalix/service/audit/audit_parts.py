"""The audit log as other services use it: written, read, and with its names of users."""

from dataclasses import dataclass

from scalix.service.audit.audit_log import AuditLog
from scalix.service.audit.audit_names import AuditNames
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.audit.identity_events import IdentityEvents


@dataclass(frozen=True)
class AuditParts:
    """One audit log. `events` gathers refused credentials for it."""

    log: AuditLog
    reading: AuditReading
    names: AuditNames
    events: IdentityEvents
