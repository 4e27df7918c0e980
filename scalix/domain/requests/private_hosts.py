"""Which hosts in a URL stand for this machine or its neighbours, in every notation that resolvers understand."""

import unicodedata
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import re2

# The platform's own address on Azure, in public space: https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16
_AZURE_PLATFORM = IPv4Address("168.63.129.16")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_RELAYS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))  # 6to4 and Teredo carry an IPv4 address
_THIS_NETWORK = IPv4Network("0.0.0.0/8")
_LOCAL_SUFFIXES = (
    *("localhost", "local", "localdomain", "internal", "intranet", "private", "corp", "home", "lan"),
    *("home.arpa", "in-addr.arpa", "ip6.arpa", "test", "invalid", "onion", "svc", "cluster.local"),
)
_NUMBER = re2.compile(r"0x[0-9a-f]*|[0-9]+")
_NAME = re2.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)+")
LONGEST_NAME = 253  # characters of a host, in any form
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))


def is_public_host(host: str) -> bool:
    """Whether `host`, as it stands in a URL (IPv6 without brackets), can only be a public one.

    Addresses count in decimal, octal, hexadecimal and short forms and within IPv6; names that only local resolvers
    know are not public. What a public name resolves to is not looked up. Measured before it is decoded: what is done
    to international names takes time with the square of their length.
    """
    if len(host) > LONGEST_NAME + 1:  # with a dot at the end
        return False
    host = unicodedata.normalize("NFKC", host.translate(_DOTS)).lower().translate(_DOTS)
    if ":" in host:
        return _is_public_ipv6(host)
    host = host.removesuffix(".")
    if len(host) > LONGEST_NAME:  # one character may stand for eighteen
        return False
    parts = host.split(".")
    if _NUMBER.fullmatch(parts[-1]):
        address = _ipv4(parts)
        return address is not None and _is_public_ipv4(address)
    try:
        host = host.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    if not _NAME.fullmatch(host) or len(host) > LONGEST_NAME:
        return False  # one label alone is a neighbour's name
    return not any(host.endswith("." + suffix) for suffix in _LOCAL_SUFFIXES)


def _ipv4(parts: list[str]) -> IPv4Address | None:
    """What `inet_aton` reads: one to four numbers, the last one filling the rest."""
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) and len(part) <= 32 for part in parts):
        return None
    try:
        *firsts, last = (_number(part) for part in parts)
    except ValueError:
        return None
    room = 256 ** (5 - len(parts))
    if any(first > 255 for first in firsts) or last >= room:
        return None
    value = last
    for place, first in enumerate(firsts):
        value += first * 256 ** (3 - place)
    return IPv4Address(value)


def _number(part: str) -> int:
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") else int(part)


def _is_public_ipv4(address: IPv4Address) -> bool:
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and address not in _THIS_NETWORK
        and address != _AZURE_PLATFORM
    )


def _is_public_ipv6(text: str) -> bool:
    try:
        address = IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    # Everything with an IPv4 address in it but these two is outside of global unicast.
    return address in _GLOBAL_UNICAST and address.is_global and not any(address in relay for relay in _RELAYS)
