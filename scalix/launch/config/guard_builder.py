"""Builds the domain's `GuardSettings` from what the config file says."""

from scalix.domain.requests.guard import LOOPBACK, GuardSettings, Overload
from scalix.launch.config.config_schema import ScalixSection


def build_guard(section: ScalixSection) -> GuardSettings:
    """The settings of the front door, as plain data."""
    rules, overload = section.ip_rules, section.overload
    exempt = LOOPBACK if overload.exempt is None else tuple(map(str, overload.exempt))
    return GuardSettings(
        allowed_hosts=tuple(section.allowed_hosts),
        ip_allow=tuple(map(str, rules.allow)),
        ip_deny=tuple(map(str, rules.deny)),
        overload=Overload(
            in_flight=overload.in_flight,
            in_flight_per_address=overload.in_flight_per_address,
            body_memory_mib=overload.body_memory_mib,
            wrong_key_delay_s=overload.wrong_key_delay_s,
            exempt=exempt,
        ),
        extra_body_fields={name: tuple(fields) for name, fields in section.extra_body_fields.items()},
        strict_bodies=section.strict_bodies,
        cors_origins=tuple(section.cors.origins),
    )
