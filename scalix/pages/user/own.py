"""What users do by themselves: their keys, their data, and the set-up of their programs."""

from scalix.edge.asgi import address_of
from scalix.edge.own_address import base_url
from scalix.edge.tables import json_text
from scalix.pages.rows import Context, Done, Download, PageRequest, Role, Services, Shown, act, page
from scalix.service.policy_source import PolicySource
from scalix.service.self_service.own_data import OwnData
from scalix.service.self_service.own_keys import NewName, NewOwnKey, Rotation, SelfServiceKeys
from scalix.service.self_service.turns import Person

KEYS, KEY, DATA = "/me/keys", "/me/keys/{key}", "/me/data"


def _person(asked: PageRequest) -> Person:
    return Person.of(asked.caller, asked.request_id, address_of(asked.scope))


async def _keys(services: Services, asked: PageRequest) -> Context:
    return {"own": await services[SelfServiceKeys].listing(_person(asked), asked.query)}


async def _make(services: Services, asked: PageRequest) -> Shown:
    body = {"name": asked.field("name"), "duration": asked.form.get("duration", "").strip() or None}
    made = await services[SelfServiceKeys].make(_person(asked), NewOwnKey.read(body))
    return Shown("new_key.html", {"secret": made["key"], "back": KEYS})


async def _rename(services: Services, asked: PageRequest) -> Done:
    body = NewName.read({"name": asked.field("name")})
    await services[SelfServiceKeys].rename(_person(asked), asked.names["key"], body)
    return Done(f"The key is called “{body.name}” now.", KEYS)


async def _rotate(services: Services, asked: PageRequest) -> Shown:
    body = Rotation.read({"grace_period": asked.form.get("grace_period", "").strip() or None})
    made = await services[SelfServiceKeys].rotate(_person(asked), asked.names["key"], body)
    return Shown("new_key.html", {"secret": made["key"], "back": KEYS})


async def _revoke(services: Services, asked: PageRequest) -> Done:
    await services[SelfServiceKeys].revoke(_person(asked), asked.names["key"])
    return Done("The key is revoked: requests with it are refused from now on.", KEYS)


async def _data(services: Services, asked: PageRequest) -> Context:
    person = _person(asked)
    return {"consent": await services[OwnData].consent(person), "user_id": person.user_id}


async def _consent(services: Services, asked: PageRequest) -> Done:
    agreed = asked.field("usage_details") == "yes"
    await services[OwnData].set_consent(_person(asked), {"usage_details": agreed})
    return Done("Details of your requests are kept." if agreed else "Details of your requests are not kept any more.")


async def _export(services: Services, asked: PageRequest) -> Download:
    found = await services[OwnData].export(_person(asked))
    return Download("my-data.json", await json_text(found))


async def _erase(services: Services, asked: PageRequest) -> Done:
    await services[OwnData].erase(_person(asked))
    return Done("Everything that was kept of you is erased.", "/")


async def _set_up(services: Services, asked: PageRequest) -> Context:
    policy = services[PolicySource].current
    models = [name for name in policy.models if asked.caller.allows(name)]
    return {
        "url": base_url(asked.scope, policy.ui.url),
        "models": models,
        "model": asked.query.get("model") if asked.query.get("model") in models else next(iter(models), "MODEL"),
    }


OWN_ROWS = (
    page(KEYS, Role.USER, _keys, "user/keys.html", "Keys"),
    act(KEYS, Role.USER, _make, of=KEYS),
    act(f"{KEY}/name", Role.USER, _rename, of=KEYS),
    act(f"{KEY}/rotate", Role.USER, _rotate, of=KEYS),
    act(f"{KEY}/revoke", Role.USER, _revoke, of=KEYS),
    page("/me/set-up", Role.USER, _set_up, "user/set_up.html", "Set up"),
    page(DATA, Role.USER, _data, "user/data.html", "My data"),
    act(f"{DATA}/consent", Role.USER, _consent, of=DATA),
    act(f"{DATA}/export", Role.USER, _export, of=DATA),
    act(f"{DATA}/erase", Role.USER, _erase, of=DATA, confirms="user_id"),
)
