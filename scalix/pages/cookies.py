"""The cookies of the pages, and where a form may come from."""

from scalix.domain.errors import NotPermitted
from scalix.edge.asgi import Header, Scope, header
from scalix.edge.own_address import is_secure

SESSION, NOTICE, THEME = "scalix_session", "scalix_notice", "scalix_theme"
THEMES = ("light", "dark")
_NOTICE_S = 60
MOST_NOTICE_BYTES = 1_800
"""Of a notice: a browser keeps cookies of 4 KB, and has two letters there for each byte."""
ELSEWHERE = (
    "This form was not sent from this gateway's own pages, or long ago. Open the page again and send it from there."
)


def cookie_of(scope: Scope, name: str) -> str:
    """The value of a cookie; empty where there is none. Cookies of others on this host may look as they like."""
    lines = b";".join(value for given, value in scope["headers"] if given == b"cookie").decode("latin-1")
    pairs = (pair.partition("=") for pair in lines.split(";"))
    return next((value.strip() for given, _, value in pairs if given.strip() == name), "")


def own_cookie_of(scope: Scope, name: str) -> str:
    """The value of a cookie that `cookie` has set; empty where there is none."""
    return cookie_of(scope, _named(name, is_secure(scope)))


def _named(name: str, secure: bool) -> str:
    """Under TLS the name has the prefix by which browsers take such a cookie from this very host alone, and not from
    another one of its domain."""
    return f"__Host-{name}" if secure else name


def cookie(name: str, value: str, scope: Scope, *, max_age_s: int) -> Header:
    """A header that sets a cookie which no script can read and no other site can send; 0 seconds: that removes it."""
    secure = is_secure(scope)
    text = f"{_named(name, secure)}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict"
    text += "; Secure" * secure
    return b"set-cookie", text.encode("ascii")


def notice_cookie(value: str, scope: Scope) -> Header:
    """A header that keeps a signed notice for the next page; an empty one removes it."""
    return cookie(NOTICE, value, scope, max_age_s=_NOTICE_S if value else 0)


def check_origin(scope: Scope) -> None:
    """Refuse a form that another site has sent, or nobody's page. Raises `NotPermitted`."""
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        is_ours = site == "same-origin"
    else:  # browsers say it under TLS and on this machine only
        origin = header(scope, b"origin")
        is_ours = origin is not None and origin.partition("://")[2].lower() == (header(scope, b"host") or "").lower()
    if not is_ours:
        raise NotPermitted(ELSEWHERE)
