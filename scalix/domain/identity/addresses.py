"""Network addresses of clients: parsed, told apart from those of proxies, and grouped by client."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The smallest IPv6 network that a provider assigns to a customer, who then has all its 2^64 addresses.
IPV6_GROUP_BITS = 64
# Chains of proxies have a few hops; anything longer was made up by the client.
MAX_HOPS = 20
_CACHED = 8_192
_LONGEST = 64
_RELAYED = (b"x-forwarded", b"forwarded", b"x-real-ip", b"via", b"x-client-ip", b"cf-", b"true-client-ip", b"x-envoy-")
_OF_PROXIES = "1.0"  # nginx's default; it then adds no header, and sends our own address as the host


@lru_cache(maxsize=_CACHED)
def parse_address(text: str) -> Address | None:
    """Parse an address; `None` if it is none. IPv4 mapped into IPv6 becomes IPv4.

    A port (`192.0.2.1:80`, `[2001:db8::1]:80`) and a zone (`fe80::1%eth0`) are ignored.
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
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def parse_network(text: str) -> Network:
    """Parse a network in CIDR notation; an address alone is a network of one. Raises `ValueError`."""
    network = ip_network(text.strip(), strict=True)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        return IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return network


class Networks(tuple[Network, ...]):
    """A set of networks. `address in networks` holds if one of them has the address; `None` is in none."""

    def __contains__(self, address: object) -> bool:
        if address is not None:
            for network in self:
                if address in network:
                    return True
        return False


NO_NETWORKS = Networks()


def client_address(peer: Address | None, forwarded: Sequence[str], trusted: Networks) -> Address | None:
    """Who sent a request: the nearest hop that is no trusted proxy.

    `peer` is the socket's other end. `forwarded` are the hops of `X-Forwarded-For` as written, client first. They are
    read from the right, as far as trusted proxies wrote them. At a hop that can't be parsed, the proxy that wrote it
    counts as the client.
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
    """Whether a program on this machine sent a request: over loopback, through no proxy, and not from a browser that a
    foreign page or host name led here. `headers` are the request's, names in lower case."""
    address, headers = parse_address(peer), list(headers)
    if address is None or not address.is_loopback or is_relayed(headers, http_version):
        return False
    names = [value.decode("latin-1").rpartition("//")[2] for name, value in headers if name in (b"host", b"origin")]
    return all(map(_is_this_machine, names))


def is_relayed(headers: Iterable[tuple[bytes, bytes]], http_version: str = "1.1") -> bool:
    """Whether a proxy has passed a request on, as far as it shows: the sender then is not the socket's other end."""
    return http_version == _OF_PROXIES or any(name.startswith(_RELAYED) for name, _ in headers)


def _is_this_machine(host: str) -> bool:
    address = parse_address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    name = host.partition(":")[0].casefold().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def group_of(address: Address) -> str:
    """The name of what counts as one client: `192.0.2.1`, or for IPv6 the network `2001:db8::/64`."""
    if isinstance(address, IPv4Address):
        return str(address)
    # Not an `IPv6Network`, which is a dozen calls more for each wrong credential.
    return f"{IPv6Address(int(address) >> IPV6_GROUP_BITS << IPV6_GROUP_BITS)}/{IPV6_GROUP_BITS}"


def group_named(text: str) -> str | None:
    """The group of an address, or of a group's own name; `None` for anything else."""
    address, slash, bits = text.partition("/")
    if slash and (bits != str(IPV6_GROUP_BITS) or ":" not in address):
        return None
    parsed = parse_address(address)
    return None if parsed is None else group_of(parsed)
