"""Network addresses of clients: read, told apart from proxies, and grouped into what one client has to itself."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The smallest network that a provider gives a customer with IPv6: its holder has all 2^64 addresses of it.
IPV6_GROUP_BITS = 64
# A chain of proxies is a few hops long; what comes before is the client's own invention.
MAX_HOPS = 20
_CACHED = 8_192
_LONGEST = 64
_RELAYED = (b"x-forwarded", b"forwarded", b"x-real-ip", b"via", b"x-client-ip", b"cf-", b"true-client-ip", b"x-envoy-")
_OF_PROXIES = "1.0"  # nginx's, unless it is told otherwise; it then adds no header, and names us by our own address


@lru_cache(maxsize=_CACHED)
def parse_address(text: str) -> Address | None:
    """The address that `text` says, IPv4 where it is IPv4 within IPv6; `None` for anything else.

    A port (`192.0.2.1:80`, `[2001:db8::1]:80`) and a zone (`fe80::1%eth0`) are left off.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return _unmapped(address)


def parse_network(text: str) -> Network:
    """The network that `text` says in CIDR notation; an address alone is a network of one. Raises `ValueError`."""
    network = ip_network(text.strip(), strict=True)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


class Networks:
    """A set of networks. `address in networks` for an `Address`, or for `None`, which is in none."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(dict.fromkeys(networks))

    def __contains__(self, address: Address | None) -> bool:
        if address is not None:
            for network in self._networks:
                if address in network:
                    return True
        return False

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Networks) and self._networks == other._networks

    def __hash__(self) -> int:
        return hash(self._networks)

    def __repr__(self) -> str:
        return f"Networks({', '.join(map(str, self._networks))})"


NO_NETWORKS = Networks()


def client_address(peer: Address | None, forwarded: Sequence[str], trusted: Networks) -> Address | None:
    """Who sent a request: the nearest hop that is no trusted proxy.

    `peer` is the socket's other end. `forwarded` are the hops of `X-Forwarded-For` as written, client first; they are
    read from the right, only as far as trusted proxies wrote them, and only if the peer is one. A hop that can't be
    read ends the search at the proxy that wrote it.
    """
    client = peer
    for hop in forwarded[: -MAX_HOPS - 1 : -1]:
        if client not in trusted:
            break
        address = parse_address(hop)
        if address is None:
            break
        client = address
    return client


def is_sent_from_here(peer: str, headers: Iterable[tuple[bytes, bytes]], http_version: str = "1.1") -> bool:
    """Whether a program of this machine has sent a request: over loopback, passed on by no proxy, and not by a browser
    that was led here under another name or by a page from elsewhere. `headers` are the request's, names in lower
    case."""
    address = parse_address(peer)
    if address is None or not address.is_loopback or http_version == _OF_PROXIES:
        return False
    for name, value in headers:
        if name.startswith(_RELAYED):
            return False
        if name in (b"host", b"origin") and not _is_this_machine(value.decode("latin-1").rpartition("//")[2]):
            return False
    return True


def _is_this_machine(host: str) -> bool:
    address = parse_address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    name = host.partition(":")[0].casefold().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def group_of(address: Address) -> str:
    """What counts as one client: the address, or its /64 for IPv6. Such as `192.0.2.1` or `2001:db8::/64`."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> IPV6_GROUP_BITS << IPV6_GROUP_BITS, IPV6_GROUP_BITS)))


def group_named(text: str) -> str | None:
    """The group that an address, or the text of a group itself, belongs to; `None` for anything else."""
    address, slash, bits = text.partition("/")
    if slash and (bits != str(IPV6_GROUP_BITS) or ":" not in address):
        return None
    parsed = parse_address(address)
    return None if parsed is None else group_of(parsed)


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
