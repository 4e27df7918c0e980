"""Virtual keys: the list, and one key with what operators do with it."""

from typing import Any

from scalix.pages.finding import path_to
from scalix.pages.operator.users import USER
from scalix.pages.rows import A_PAGE, Context, Done, PageRequest, Role, Services, Shown, act, page
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.key_fields import KeysToDelete

KEY = "/ui/keys/{key}"
_FIELDS = ("key_alias", "duration")


async def _keys(services: Services, asked: PageRequest) -> Context:
    query = {"cursor": "", **asked.query, "size": A_PAGE, "return_full_object": "true"}
    found = await services[KeyAdministration].listing(query)
    return {"keys": found["keys"], "total": found["total_count"], "cursor": found["next_cursor"]}


async def _key(services: Services, asked: PageRequest) -> Context:
    return {"key": (await services[KeyAdministration].info(asked.names["key"]))["info"]}


async def _make(services: Services, asked: PageRequest) -> Shown:
    body: dict[str, Any] = {name: asked.form[name].strip() for name in _FIELDS if asked.form.get(name, "").strip()}
    if budget := asked.form.get("max_budget", "").strip():
        body["max_budget"] = _number_or_text(budget)
    made = await services[KeyAdministration].generate({**body, "user_id": asked.names["user"]}, asked.by)
    return _shown(made, path_to(USER, asked.names["user"]))


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # which the use case refuses, in its words


async def _rotate(services: Services, asked: PageRequest) -> Shown:
    grace = asked.form.get("grace_period", "").strip()
    body = {"grace_period": grace} if grace else {}
    made = await services[KeyAdministration].regenerate(asked.names["key"], body, asked.by)
    return _shown(made, path_to(KEY, made["token"]))


def _shown(made: dict[str, Any], back: str) -> Shown:
    return Shown("new_key.html", {"secret": made["key"], "back": back})


async def _block(services: Services, asked: PageRequest) -> Done:
    blocked = asked.field("blocked") == "yes"
    await services[KeyAdministration].set_blocked(asked.names["key"], asked.by, blocked=blocked)
    return Done("The key is blocked from now on." if blocked else "The key works again.")


async def _delete(services: Services, asked: PageRequest) -> Done:
    await services[KeyAdministration].delete(KeysToDelete.read({"keys": [asked.names["key"]]}), asked.by)
    return Done("The key is gone for good.", "/ui/keys")


KEYS_ROWS = (
    page("/ui/keys", Role.OPERATOR, _keys, "operator/keys.html", "Keys"),
    page(KEY, Role.OPERATOR, _key, "operator/key.html"),
    act(f"{USER}/keys", Role.OPERATOR, _make, of=USER),
    act(f"{KEY}/rotate", Role.OPERATOR, _rotate, of=KEY),
    act(f"{KEY}/block", Role.OPERATOR, _block, of=KEY),
    act(f"{KEY}/delete", Role.OPERATOR, _delete, of=KEY, confirms="named"),
)
