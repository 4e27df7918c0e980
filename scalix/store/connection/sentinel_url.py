"""Addresses of a store that Sentinel watches: `redis+sentinel://user:password@host:port,host:port/service/database`."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

SCHEMES = ("redis+sentinel", "rediss+sentinel")
DEFAULT_PORT = 26_379
USERNAME, PASSWORD = "sentinel_username", "sentinel_password"

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, repr=False)
class SentinelUrl:
    """The parts of such an address. `rediss+…` means TLS to the Sentinels and to the server.

    User and password are the server's; a Sentinel's own are the options `sentinel_username` and `sentinel_password`.
    All other options are redis-py's, such as `ssl_ca_certs`, and hold for both.
    """

    scheme: str
    credentials: str
    nodes: tuple[Address, ...]
    service: str
    database: int
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, url: str) -> Self:
        """Raises ValueError, which says what is wrong without a part of the URL."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise ValueError("it does not begin with redis+sentinel://")
        credentials, _, hosts = parts.netloc.rpartition("@")
        nodes = tuple(_address(host) for host in hosts.split(",") if host)
        service, _, database = parts.path.strip("/").partition("/")
        if not nodes:
            raise ValueError("it names no Sentinel")
        if not service:
            raise ValueError("it does not name the service, which is what the Sentinels call the master")
        if database and not (database.isascii() and database.isdigit()):
            raise ValueError("what is behind the service is no database number")
        options = tuple(parse_qsl(parts.query, keep_blank_values=True))
        return cls(parts.scheme.partition("+")[0], credentials, nodes, unquote(service), int(database or 0), options)

    def server(self, address: Address) -> str:
        """redis-py's URL of the server at `address`."""
        kept = [(name, value) for name, value in self.options if name not in (USERNAME, PASSWORD)]
        return self._url(self.credentials, address, f"/{self.database}", kept)

    def sentinel(self, address: Address) -> str:
        """redis-py's URL of the Sentinel at `address`."""
        own = dict(self.options)
        username, password = own.pop(USERNAME, ""), own.pop(PASSWORD, "")
        own.pop("db", None)
        credentials = f"{quote(username, safe='')}:{quote(password, safe='')}" if username or password else ""
        return self._url(credentials, address, "", list(own.items()))

    @property
    def shown(self) -> str:
        """The address without what is secret."""
        credentials = "***@" if self.credentials else ""
        hosts = ",".join(map(_shown, self.nodes))
        return f"{self.scheme}+sentinel://{credentials}{hosts}/{self.service}/{self.database}"

    def _url(self, credentials: str, address: Address, path: str, options: list[tuple[str, str]]) -> str:
        query = f"?{urlencode(options)}" if options else ""
        return f"{self.scheme}://{credentials}{'@' if credentials else ''}{_shown(address)}{path}{query}"


def is_of_sentinel(url: str) -> bool:
    """Whether Sentinels are to be asked where the server is."""
    return url.partition("://")[0] in SCHEMES


def _address(text: str) -> Address:
    bare, _, port = text.rpartition(":") if not text.endswith("]") and ":" in text else (text, "", "")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise ValueError("a port in it is none")
    host = bare.removeprefix("[").removesuffix("]")
    if not host or (":" in host and not bare.startswith("[")):
        raise ValueError("a host in it is none")
    return host, int(port or DEFAULT_PORT)


def _shown(address: Address) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
