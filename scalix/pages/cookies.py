"""The cookies of the pages, and where a form may come from."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from scalix.domain.errors import NotPermitted
from scalix.edge.asgi import Header, Scope, header
from scalix.edge.client_address import ClientAddresses, peer_of

SESSION, NOTICE, THEME = "scalix_session", "scalix_notice", "scalix_theme"
THEMES = ("light", "dark")
_NOTICE_S = 60
ELSEWHERE = (
    "This form was not sent from this gateway's own pages, or long ago. Open the page again and send it from there."
)


def cookie_of(scope: Scope, name: str) -> str:
    """The value of a cookie; empty where there is none."""
    try:
        found = SimpleCookie(header(scope, b"cookie") or "").get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def cookie(name: str, value: str, scope: Scope, addresses: ClientAddresses, *, max_age_s: int) -> Header:
    """A header that sets a cookie which no script can read and no other site can send; 0 seconds: that removes it."""
    secure = "; Secure" if is_secure(scope, addresses) else ""
    text = f"{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict{secure}"
    return b"set-cookie", text.encode("ascii")


def notice_cookie(value: str, scope: Scope, addresses: ClientAddresses) -> Header:
    """A header that keeps a signed notice for the next page; an empty one removes it."""
    return cookie(NOTICE, value, scope, addresses, max_age_s=_NOTICE_S if value else 0)


def is_secure(scope: Scope, addresses: ClientAddresses) -> bool:
    """Whether the browser speaks TLS: with us, or with a proxy that we trust."""
    if scope.get("scheme") == "https":
        return True
    said = (header(scope, b"x-forwarded-proto") or "").split(",")[0].strip().lower()
    return said == "https" and addresses.is_trusted(peer_of(scope))


def check_origin(scope: Scope) -> None:
    """Refuse a form that another site has sent, or nobody's page. Raises `NotPermitted`."""
    site = header(scope, b"sec-fetch-site")
    if site is not None:
        is_ours = site == "same-origin"
    else:  # browsers say it under TLS and on this machine only
        origin = header(scope, b"origin")
        is_ours = origin is not None and urlsplit(origin).netloc.lower() == (header(scope, b"host") or "").lower()
    if not is_ours:
        raise NotPermitted(ELSEWHERE)
