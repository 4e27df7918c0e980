"""Addresses that name several nodes of one Redis Cluster, any of which leads to all others: `redis://host,host/0`."""

from urllib.parse import urlsplit, urlunsplit

from scalix.store.connection.sentinel_url import is_of_sentinel


def seeds_of(url: str) -> tuple[str, ...]:
    """redis-py's URLs of the nodes that `url` names; of one server, or Sentinels, `url` itself. Raises ValueError."""
    parts = urlsplit(url)
    credentials, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts or is_of_sentinel(url):
        return (url,)
    return tuple(urlunsplit(parts._replace(netloc=f"{credentials}{at}{host}")) for host in hosts.split(","))
