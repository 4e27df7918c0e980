"""Signing in and out, for operators and for users, and the page that says what this is."""

from functools import partial

from scalix.domain.errors import BadRequest, InvalidApiKey
from scalix.domain.identity.key_secrets import digest_of
from scalix.edge.asgi import address_of, credential_of
from scalix.edge.own_address import base_url
from scalix.pages.cookies import SESSION, cookie
from scalix.pages.doors import Doors
from scalix.pages.layout import HOMES
from scalix.pages.rows import Context, Done, PageRequest, PageRow, Role, Services, act, page
from scalix.service.identity.identity import Credential
from scalix.service.identity.sign_ins import LIFETIME_MS, SignIns
from scalix.service.policy_source import PolicySource

_WITH = {"master": "the master key", "key": "a virtual key", "token": "a token", "link": "a link of the app"}
_WRONG = "This key is not right, or not any more. Check that it was copied whole."


async def _first(services: Services, asked: PageRequest) -> Context:
    configured = services[PolicySource].current.ui.url
    return {"base_url": base_url(asked.scope, configured), "opens_ui": services[Doors].opens_ui(asked.scope)}


async def _door(services: Services, asked: PageRequest, role: Role) -> Context | Done:
    """The form to sign in with; who is signed in already goes on."""
    to = asked.query.get("to", "")
    if asked.role is role:
        return Done(to=_inside(to, role))
    return {"role": role, "to": to}


async def _sign_in(services: Services, asked: PageRequest, role: Role) -> Done:
    scope = asked.scope
    credential = Credential(asked.field("credential"), address_of(scope), credential_of(scope).is_from_here)
    try:
        text = await services[SignIns].sign_in(credential, asked.by, as_operator=role is Role.OPERATOR)
    except InvalidApiKey as error:
        raise InvalidApiKey(_WRONG, param="credential", reason=error.reason, who=error.who) from None
    return Done(to=_inside(asked.form.get("to", ""), role), headers=(_session(asked, text),))


async def _enter_door(services: Services, asked: PageRequest) -> Context:
    """The page that a link leads to. Looking at it uses nothing up, so that a mail scanner may."""
    return {"code": asked.query.get("code", "")}


async def _enter(services: Services, asked: PageRequest) -> Done:
    text, to = await services[SignIns].enter(asked.form.get("code", "").strip(), asked.by)
    return Done(to=_inside(to, Role.USER), headers=(_session(asked, text),))


async def _sessions(services: Services, asked: PageRequest) -> Context:
    """The browsers in which one is signed in."""
    own = asked.session
    found = await services[SignIns].store.of(own.sign_in.subject)
    rows = [
        {"at": one.at_ms, "by": _WITH[one.by], "address": one.address, "ends": one.ends_ms, "digest": digest}
        for digest, one in sorted(found.items(), key=lambda pair: -pair[1].at_ms)
    ]
    return {"rows": rows, "here": digest_of(own.id), "home": HOMES[asked.role]}


async def _end_session(services: Services, asked: PageRequest) -> Done:
    if not await services[SignIns].end(asked.session, asked.names["session"], asked.by):
        raise BadRequest("This session is over already.")
    return Done("The session is ended.")


async def _sign_out(services: Services, asked: PageRequest) -> Done:
    await services[SignIns].sign_out(asked.session, asked.by)
    return Done("You are signed out.", "/", (_session(asked, ""),))


def _session(asked: PageRequest, text: str) -> tuple[bytes, bytes]:
    lifetime_s = LIFETIME_MS // 1000 if text else 0
    return cookie(SESSION, text, asked.scope, max_age_s=lifetime_s)


def _inside(to: str, role: Role) -> str:
    """The page that was asked for before, if it is one of the role's, and no other place."""
    home = HOMES[role]
    is_inside = to == home or to.startswith((f"{home}/", f"{home}?"))
    return to if is_inside and to.isascii() and to.isprintable() and "\\" not in to else home


def _doors(role: Role) -> tuple[PageRow, ...]:
    path, template = f"{HOMES[role]}/sign-in", "anybody/sign_in.html"
    return (
        page(path, Role.ANYBODY, partial(_door, role=role), template),
        act(path, Role.ANYBODY, partial(_sign_in, role=role), of=path),
        act(f"{HOMES[role]}/sign-out", role, _sign_out, of=HOMES[role]),
    )


def session_rows(role: Role) -> tuple[PageRow, ...]:
    """The page of a role that lists where one is signed in."""
    path = f"{HOMES[role]}/sessions"
    return (
        page(path, role, _sessions, "anybody/sessions.html", "Sessions"),
        act(f"{path}/{{session}}/end", role, _end_session, of=path),
    )


SIGNING_IN_ROWS = (
    page("/", Role.ANYBODY, _first, "anybody/first.html"),
    *_doors(Role.OPERATOR),
    *_doors(Role.USER),
    page("/me/enter", Role.ANYBODY, _enter_door, "anybody/enter.html"),
    act("/me/enter", Role.ANYBODY, _enter, of="/me/enter"),
)
