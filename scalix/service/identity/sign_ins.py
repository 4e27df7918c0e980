"""Who is signed in to the pages: a cookie that stands for a credential, and is no credential for the API."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Annotated, Any

from scalix.domain.errors import BadRequest, GatewayError, InvalidApiKey, IpBlocked, NotPermitted
from scalix.domain.identity.key_secrets import digest_of
from scalix.domain.limits.calendar import rfc3339
from scalix.service.audit.audit import Act, Actor, AuditTrail
from scalix.service.bodies import ReadBy, RequestBody, UserId
from scalix.service.identity.callers import Caller
from scalix.service.identity.holders import NOT_SIGNED_IN, Holders
from scalix.service.identity.identity import Credential
from scalix.service.policy_source import PolicySource
from scalix.store.records.redis_sign_ins import SignIn, SignInStore

LIFETIME_MS = 12 * 3_600_000
CODE_LIFETIME_MS = 5 * 60_000
_ID_BYTES = 32
_LONGEST_PATH = 512
_CODE_GONE = "This link has been used already, or is older than five minutes. Go back to the app and open it again."


def _path(value: Any, name: str) -> str:
    is_path = isinstance(value, str) and len(value) <= _LONGEST_PATH and value.isascii() and value.isprintable()
    if not is_path or "\\" in value or not (value == "/me" or value.startswith(("/me/", "/me?"))):
        raise BadRequest(f"'{name}' must be a page of the user's, such as /me or /me/keys.", param=name)
    return str(value)


class LinkWanted(RequestBody):
    """Whom a link signs in, and the page that it leads to."""

    user_id: UserId
    path: Annotated[str, ReadBy(_path, {"type": "string", "maxLength": _LONGEST_PATH})] = "/me"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginLink:
    """A link that is good once, and for five minutes. `path` is its part behind the gateway's address."""

    url: str
    path: str
    expires_at: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is signed in: the id that its cookie holds, what is kept of it, and who it stands for."""

    id: str
    sign_in: SignIn
    caller: Caller


@dataclass(eq=False)
class SignIns:
    """Signs in, judges each view anew, and signs out. `now_ms` is Unix time.

    Nothing is cached but the key that signs, so that what was ended anywhere is over for the next view.
    """

    store: SignInStore
    holders: Holders
    audit: AuditTrail
    policy: PolicySource
    now_ms: Callable[[], int]
    _key: bytes | None = field(default=None, init=False)

    async def sign_in(self, credential: Credential, by: Actor, *, as_operator: bool) -> str:
        """The cookie's text for a credential. Raises `InvalidApiKey`, `NotPermitted` for a credential of the other
        kind, and what `Holders.shown` raises."""
        if not credential.token:
            raise InvalidApiKey(NOT_SIGNED_IN)
        held = await self.holders.shown(credential, await self._signing_key())
        if held.caller.may_name_users is not as_operator:
            raise NotPermitted(_OTHER_DOOR[as_operator], param="credential")
        new = self._new(str(held.caller.subject), held.by, held.credential, by.address)
        return await self._begin(replace(new, ends_ms=min(new.ends_ms, held.ends_ms or new.ends_ms)), by)

    async def make_link(self, body: LinkWanted, asked_at: str, by: Actor) -> LoginLink:
        """A link that signs a user in once. `asked_at` is the address that the request came to, which counts where the
        config has none for browsers. Raises `UserBlocked`, `NotPermitted`, `StoreUnavailable`."""
        ui = self.policy.current.ui
        if not ui.enabled:
            raise NotPermitted(
                "This gateway has no pages, by its config (scalix.ui.enabled), so that no link leads there."
            )
        caller = await self.holders.users.caller(body.user_id, fresh=True)
        await self.audit.record(Act("user.login_link", by, body.user_id))
        code, now_ms = secrets.token_urlsafe(_ID_BYTES), self.now_ms()
        new = SignIn(str(caller.subject), "link", "", now_ms, now_ms + CODE_LIFETIME_MS)
        await self.store.add_code(digest_of(code), new, body.path)
        # After the #: what stands there reaches no server, and so no log.
        path = f"/me/enter#{code}"
        url = (ui.url or asked_at).rstrip("/") + path
        return LoginLink(url=url, path=path, expires_at=rfc3339(new.ends_ms))

    async def enter(self, code: str, by: Actor) -> tuple[str, str]:
        """The cookie's text for a one-time code, and the page that it leads to. Raises `InvalidApiKey`."""
        found = await self.store.take_code(digest_of(code)) if code else None
        if found is None or found[0].ends_ms <= self.now_ms():
            raise InvalidApiKey(_CODE_GONE)
        await self._caller(found[0])  # by when the link was made: what was revoked since then counts
        return await self._begin(self._new(found[0].subject, "link", "", by.address), by), found[1]

    async def signed_in(self, cookie: str, address: str) -> SignedIn | None:
        """Who a cookie stands for now; `None` where it stands for nobody, or nobody any more."""
        ident = await self._id_of(cookie)
        found = await self.store.get(digest_of(ident)) if ident else None
        if ident is None or found is None:
            return None
        try:
            if found.ends_ms <= self.now_ms():
                raise InvalidApiKey(NOT_SIGNED_IN)
            caller = await self._caller(replace(found, address=address))
            if str(caller.subject) != found.subject:
                raise InvalidApiKey(NOT_SIGNED_IN)  # by another config, or for another user, than it was signed in
            return SignedIn(ident, found, caller)
        except IpBlocked:
            return None  # from another address it still counts
        except GatewayError:
            await self.store.end(digest_of(ident), found.subject)
            return None

    async def sign_out(self, whose: SignedIn, by: Actor) -> None:
        """End it everywhere."""
        await self._ended(whose.sign_in, by)
        await self.store.end(digest_of(whose.id), whose.sign_in.subject)

    async def end(self, whose: SignedIn, digest: str, by: Actor) -> bool:
        """End another of the same subject; whether there was one."""
        if digest not in await self.store.of(whose.sign_in.subject):
            return False
        await self._ended(whose.sign_in, by)
        return await self.store.end(digest, whose.sign_in.subject)

    async def form_token(self, ident: str, pad: bytes | None = None) -> str:
        """What the forms of a browser with this id hold, so that no other site can send them: another text each time,
        as it is sent compressed."""
        pad = pad or secrets.token_bytes(32)
        mask = hmac.digest(await self._signing_key(), b"form:" + ident.encode(), sha256)
        return (pad + bytes(one ^ other for one, other in zip(pad, mask, strict=True))).hex()

    async def is_form_token(self, ident: str, token: str) -> bool:
        """Whether a form was made for the browser with this id."""
        if len(token) != 128 or not token.isascii():
            return False
        try:
            pad = bytes.fromhex(token[:64])
        except ValueError:
            return False
        return hmac.compare_digest(token, await self.form_token(ident, pad))

    async def signed(self, text: str) -> str:
        """A text that a browser may keep, and only this gateway has written."""
        mark = hmac.digest(await self._signing_key(), b"text:" + text.encode(), sha256).hex()
        return f"{text}.{mark}"

    async def unsigned(self, signed: str) -> str | None:
        """The text that `signed` was given; `None` for anything else."""
        text, _, _ = signed.rpartition(".")
        return text if hmac.compare_digest(signed.encode(), (await self.signed(text)).encode()) else None

    async def _caller(self, sign_in: SignIn) -> Caller:
        return await self.holders.holder(sign_in, await self._signing_key())

    def _new(self, subject: str, by: str, credential: str, address: str) -> SignIn:
        now_ms = self.now_ms()
        return SignIn(subject, by, credential, now_ms, now_ms + LIFETIME_MS, address)

    async def _begin(self, new: SignIn, by: Actor) -> str:
        if new.is_operators:
            await self.audit.record(Act("session.begin", replace(by, name=new.subject), "", object=new.subject))
        ident = secrets.token_urlsafe(_ID_BYTES)
        self._key = await self.store.key()  # another, if the store was emptied meanwhile
        await self.store.add(digest_of(ident), new)
        return await self.signed(ident)

    async def _ended(self, ended: SignIn, by: Actor) -> None:
        if ended.is_operators:  # users sign in and out as often as they like
            await self.audit.record(Act("session.end", by, "", object=ended.subject))

    async def _id_of(self, cookie: str) -> str | None:
        if not cookie.isascii() or len(cookie) > 200:
            return None
        found = await self.unsigned(cookie)
        if found is None and self._key is not None:
            self._key = None  # the store may have been emptied
            found = await self.unsigned(cookie)
        return found

    async def _signing_key(self) -> bytes:
        self._key = self._key or await self.store.key()
        return self._key


_OTHER_DOOR = {
    True: "This is a user's key, and these are the operator's pages. Your own are at /me.",
    False: "This is the operator's key, and these are users' pages. The operator's are at /ui.",
}
