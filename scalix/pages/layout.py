"""What the layout around every page is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from scalix.domain.errors import GatewayError
from scalix.pages.rows import PageRow, Role

HOMES = {Role.OPERATOR: "/ui", Role.USER: "/me", Role.ANYBODY: "/"}
SIGN_IN = {Role.OPERATOR: "/ui/sign-in", Role.USER: "/me/sign-in", Role.ANYBODY: "/"}


@dataclass
class Layout:
    """One page's surroundings, as `page` in templates.

    `role` is who is signed in; `acted` is the path of the act that has failed with `error`, and `form` what it was
    sent; `label` is the page's name in the navigation, which is its title where the template has none.
    """

    path: str
    now_ms: int
    role: Role = Role.ANYBODY
    who: str = ""
    nav: tuple[PageRow, ...] = ()
    current: str = ""
    label: str = ""
    theme: str = ""
    form_token: str = ""
    notice: str = ""
    error: GatewayError | None = None
    acted: str = ""
    request_id: str = ""
    form: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def signed_in(self) -> bool:
        """Whether anybody is."""
        return self.role is not Role.ANYBODY

    @property
    def home(self) -> str:
        """Where the name of the product leads."""
        return HOMES[self.role]

    @property
    def sign_out(self) -> str:
        """Where the form that signs out is sent."""
        return f"{HOMES[self.role]}/sign-out"

    def with_query(self, **changes: Any) -> str:
        """This page with other parameters; those of `None` are left out."""
        merged = {name: value for name, value in {**self.query, **changes}.items() if value not in (None, "")}
        return self.path + (f"?{urlencode(merged)}" if merged else "")
