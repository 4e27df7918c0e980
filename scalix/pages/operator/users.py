"""Users: the list, and one user with everything that operators do for one."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from scalix.domain.errors import BadRequest
from scalix.domain.limits.limit_overrides import OF_TIER, with_entry
from scalix.domain.limits.limits import CONCURRENT, LIMIT_NAMES
from scalix.edge.tables import json_text
from scalix.pages.days import over_days
from scalix.pages.finding import path_to
from scalix.pages.formats import usd
from scalix.pages.rows import A_PAGE, Context, Done, Download, PageRequest, Role, Services, act, page
from scalix.service.administration.administration import NewUser, UserAdministration, UserChange
from scalix.service.administration.balances import Balances, Credit
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.limit_administration import ALL, LimitAdministration, OwnLimits, Reset
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.policy_source import PolicySource
from scalix.service.privacy.privacy import Privacy
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.usage_events import UsageEvents

USER = "/ui/users/{user}"
_LATEST = "10"


async def _users(services: Services, asked: PageRequest) -> Context:
    found = await services[UserAdministration].listing({"cursor": "", **asked.query, "page_size": A_PAGE})
    return {
        "users": [{**one, "state": "blocked" if one["blocked"] else ""} for one in found["users"]],
        "total": found["total"],
        "cursor": found["next_cursor"],
        "tiers": list(services[PolicySource].current.tiers),
    }


async def _new(services: Services, asked: PageRequest) -> Done:
    user_id = asked.field("user_id")
    body = {"user_id": user_id, "tier": asked.form.get("tier") or None, "auto_create_key": False}
    await services[UserAdministration].new(NewUser.read(body), asked.by)
    return Done(f"The user “{user_id}” is there now.", path_to(USER, user_id))


async def _figures(services: Services, asked: PageRequest) -> Context:
    user_id = asked.names["user"]
    return {
        "info": await services[UserAdministration].info(user_id),
        "limits": (await services[LimitAdministration].show(user_id))["limits"],
        "balance": await services[Balances].show(user_id),
    }


async def _user(services: Services, asked: PageRequest) -> Context:
    user_id, figures = asked.names["user"], await _figures(services, asked)
    days = await services[Reporting].report("user", {"user_id": user_id})
    keys = await services[KeyAdministration].listing(
        {"user_id": user_id, "cursor": "", "size": _LATEST, "return_full_object": "true"}
    )
    events = await services[UsageEvents].page(asked.caller, {"user_id": user_id, "limit": _LATEST})
    acts = await services[AuditReading].page({"object": f"user:{user_id}", "limit": _LATEST})
    return {
        **figures,
        "days": days,
        "charges": over_days(days.rows, "charge_usd", asked.now_ms),
        "keys": keys["keys"],
        "more_keys": keys["next_cursor"] is not None,
        "events": [{**one, "user_id": user_id} for one in events.events],
        "acts": acts["entries"],
        "tiers": list(services[PolicySource].current.tiers),
        "names_of_limits": [*LIMIT_NAMES, CONCURRENT],
        "new_credit_id": uuid4().hex[:12],
    }


def _changed(asked: PageRequest, **fields: Any) -> UserChange:
    return UserChange.read({"user_id": asked.names["user"], **fields})


async def _tier(services: Services, asked: PageRequest) -> Done:
    tier = asked.field("tier")
    await services[UserAdministration].update(_changed(asked, tier=tier), asked.by)
    return Done(f"The tier is {tier} now.")


async def _block(services: Services, asked: PageRequest) -> Done:
    blocked = asked.field("blocked") == "yes"
    await services[UserAdministration].update(_changed(asked, blocked=blocked), asked.by)
    return Done("The user is blocked: every request is refused from now on." if blocked else "The user may call again.")


async def _limit(services: Services, asked: PageRequest) -> Done:
    """Set one limit of the user's own; the others stay."""
    name, text, user_id = asked.field("limit"), asked.form.get("amount", "").strip(), asked.names["user"]
    value = OF_TIER if not text else None if text == "none" else _number(text)

    def changed(limits: Mapping[str, Any]) -> Mapping[str, Any]:
        return OwnLimits.read({"user_id": user_id, "limits": with_entry(limits, name, value)}).limits

    await services[LimitAdministration].show(user_id)  # who is not known has none
    await services[LimitAdministration].change(user_id, changed, asked.by)
    return Done(f"{name}: {text or 'as the tier has it'}.")


def _number(text: str) -> int | float:
    try:
        return int(text.replace(",", "")) if "." not in text else float(text)
    except ValueError:
        message = "Write a number, 'none' for no limit, or nothing for what the tier has."
        raise BadRequest(message, param="amount") from None


async def _reset(services: Services, asked: PageRequest) -> Done:
    what = asked.field("windows")
    body = Reset.read({"user_id": asked.names["user"], "windows": ALL if what == ALL else [what]})
    undone = (await services[LimitAdministration].reset(body, asked.by))["undone"]
    listed = ", ".join(f"{name} {amount:g}" for name, amount in undone.items())
    return Done(f"Given back: {listed or 'nothing, as nothing was used there'}.")


async def _credit(services: Services, asked: PageRequest) -> Done:
    fields = {name: asked.field(name) for name in ("credit_id", "amount_usd")}
    done = await services[Balances].credit(Credit.read({"user_id": asked.names["user"], **fields}), asked.by)
    if not done.credited:
        return Done(f"The payment “{done.credit_id}” was there before, and was not added again.")
    return Done(f"The balance is {usd(done.balance_usd)} now.")


async def _export(services: Services, asked: PageRequest) -> Download:
    found = await services[Privacy].export(asked.names["user"], asked.by)
    return Download("export.json", await json_text(found))


async def _erase(services: Services, asked: PageRequest) -> Done:
    erasure = await services[Privacy].erase(asked.names["user"], asked.by)
    elsewhere = {**erasure["archived_elsewhere"], **erasure["store_files"]}
    more = f" Still to be erased elsewhere: {', '.join(map(str, elsewhere))}." if elsewhere else ""
    return Done(f"Everything that was kept of the user is erased.{more}", "/ui/users")


USERS_ROWS = (
    page("/ui/users", Role.OPERATOR, _users, "operator/users.html", "Users"),
    act("/ui/users", Role.OPERATOR, _new, of="/ui/users"),
    page(USER, Role.OPERATOR, _user, "operator/user.html", figures=_figures),
    act(f"{USER}/tier", Role.OPERATOR, _tier, of=USER),
    act(f"{USER}/block", Role.OPERATOR, _block, of=USER),
    act(f"{USER}/limit", Role.OPERATOR, _limit, of=USER),
    act(f"{USER}/reset", Role.OPERATOR, _reset, of=USER),
    act(f"{USER}/credit", Role.OPERATOR, _credit, of=USER),
    act(f"{USER}/export", Role.OPERATOR, _export, of=USER),
    act(f"{USER}/erase", Role.OPERATOR, _erase, of=USER, confirms="user"),
)
