"""What the operator has set for the front door: hosts, addresses, load, and body fields beside the usual ones.

Everything is plain data, so that it travels with the policy from the launcher to its workers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

MIB = 2**20
LOOPBACK = ("127.0.0.0/8", "::1/128")
DEFAULT_IN_FLIGHT = 1000
DEFAULT_IN_FLIGHT_PER_ADDRESS = 200
DEFAULT_BODY_MEMORY_MIB = 256
# Shorter than a worker's drain, so that a delayed refusal never holds up a shutdown.
DEFAULT_WRONG_KEY_DELAY_S = 5


@dataclass(frozen=True, slots=True)
class Queue:
    """How many requests may wait for a place in a worker at once, 0 for none, and how long each."""

    requests: int = 64
    wait_s: int = 2


@dataclass(frozen=True, slots=True)
class Overload:
    """What one worker carries at once. `exempt` holds networks in CIDR notation whose addresses have no cap and no
    delay of their own; trusted proxies are always exempt. `wrong_key_delay_s` is the longest delay; 0 means none.
    """

    in_flight: int = DEFAULT_IN_FLIGHT
    in_flight_per_address: int = DEFAULT_IN_FLIGHT_PER_ADDRESS
    body_memory_mib: int = DEFAULT_BODY_MEMORY_MIB
    wrong_key_delay_s: int = DEFAULT_WRONG_KEY_DELAY_S
    exempt: tuple[str, ...] = LOOPBACK
    queue: Queue = Queue()


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """The settings of the front door. Networks are in CIDR notation.

    `allowed_hosts` are names as in a `Host` header without the port, in lower case, `*.` in front for all below one;
    none means any. `extra_body_fields` maps a metered route's name to fields that it takes beside those of its API;
    with `strict_bodies`, a body with any other is refused, and not taken without it. `cors_origins` are the origins
    whose pages may read answers in a browser, `*` for any.
    """

    allowed_hosts: tuple[str, ...] = ()
    ip_allow: tuple[str, ...] = ()
    ip_deny: tuple[str, ...] = ()
    overload: Overload = field(default_factory=Overload)
    extra_body_fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    user_header: str = ""
    strict_bodies: bool = False
    cors_origins: tuple[str, ...] = ()
