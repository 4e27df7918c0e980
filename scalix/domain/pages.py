"""What the operator has set for the pages that browsers see."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PageSettings:
    """Whether there are pages, and from where the operator's open.

    `port`: the operator's pages are there alone, on a port beside the gateway's; 0 for none of their own. `allow` are
    the networks in CIDR notation that they open to. `url` is the gateway's address as users' browsers know it.
    """

    enabled: bool = True
    port: int = 0
    allow: tuple[str, ...] = ()
    url: str | None = None

    @property
    def own_port(self) -> int:
        """The port that pages have for themselves; 0 where they have none, or are off."""
        return self.port if self.enabled else 0

    def is_closed_in(self, *, production: bool) -> bool:
        """Whether the operator's pages open to nobody: in production, where nothing says to whom."""
        return production and not self.port and not self.allow
