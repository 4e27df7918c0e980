"""What goes back to a browser, with the headers that every page has."""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass

from scalix.edge.asgi import Header, Scope, header
from scalix.pages.assets import Asset

HTML = b"text/html; charset=utf-8"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_SAFE: tuple[Header, ...] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not `no-referrer`: browsers would then say nothing of where a form comes from.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
_KEPT = (b"cache-control", b"public, max-age=31536000, immutable")
_NOT_KEPT = (b"cache-control", b"no-store")
_LEAST_ZIPPED_BYTES = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. A `secret` one is not compressed, as its length would tell of what it holds."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()
    content_type: bytes = HTML
    secret: bool = False

    def sent(self, scope: Scope) -> tuple[list[Header], bytes]:
        """The headers and the body, as the browser takes it."""
        headers = [*_SAFE, _NOT_KEPT, (b"vary", b"cookie, accept-encoding"), *self.headers]
        if self.secret or len(self.body) < _LEAST_ZIPPED_BYTES or not _takes_gzip(scope):
            return headers, self.body
        return [*headers, (b"content-encoding", b"gzip")], gzip.compress(self.body, 6, mtime=0)


def redirect(to: str, headers: Iterable[Header] = ()) -> Answer:
    """Have the browser go to another of our pages, by GET."""
    return Answer(303, b"", ((b"location", to.encode("ascii")), *headers))


def asset_sent(asset: Asset, scope: Scope) -> tuple[list[Header], bytes]:
    """An asset, which never changes under its name."""
    headers = [*_SAFE, _KEPT, (b"vary", b"accept-encoding")]
    if not _takes_gzip(scope):
        return headers, asset.body
    return [*headers, (b"content-encoding", b"gzip")], asset.gzipped


def _takes_gzip(scope: Scope) -> bool:
    said = (header(scope, b"accept-encoding") or "").lower()
    return any(
        part.partition(";")[0].strip() == "gzip" and "q=0" not in part.split(";", 1)[-1].replace("q=0.", "")
        for part in said.split(",")
    )
