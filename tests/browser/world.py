"""What pages are looked at with: users, keys and models whose names are made to break a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalix.domain.limits.quota import Outcome
from tests.edge.key_rig import act
from tests.edge.limits_rig import Instance
from tests.edge.usage_rig import DAY_MS, key_for, now_ms, settle

HOSTILE = (
    '<img src=x class=hostile onerror="alert(1)">',
    "\"'><b data-hostile>bold</b><!--",
    "{{ 7 * 7 }}{% raw %}",
    "שלום עולם ‏(مرحبا)".replace("‏", ""),
    "W" * 200,
    "🐙🎉👍🏽 emoji",
    "../..",
    "a/b?c=d&e#f%2F",
)


@dataclass(frozen=True)
class World:
    """What there is of each `{name}` of a path, and the key of one user."""

    names: Mapping[str, Sequence[str]]
    key: str


async def fill(instance: Instance) -> World:
    """Users with limits, balances and keys; requests of three weeks, good and bad; acts."""
    now, keys, requests = await now_ms(instance), list[str](), list[str]()
    for number, name in enumerate(HOSTILE):
        await act(instance, "/user/new", user_id=name, auto_create_key=False, tier="pro" if number % 2 else "free")
        await act(instance, "/user/credit", user_id=name, amount_usd=str(number + 1), credit_id=f"c-{number}")
        key = await key_for(instance, name, key_alias=f"{name}-{number}"[:100])
        keys.append(str(key["token"]))
        for day in range(0, 21, number + 1):
            requests.append(
                await settle(
                    instance,
                    name,
                    at_ms=now - day * DAY_MS,
                    tokens=1_000 * (day + 1),
                    cost=10**7 * (number + 1),
                    charge=3 * 10**7 * (number + 1),
                    model=name[:100],
                    served=name[:100],
                    outcome=Outcome.PROVIDER_FAILED if day % 7 == 3 else Outcome.SUCCESS,
                )
            )
    own = await key_for(instance, HOSTILE[0], key_alias="laptop")
    await act(instance, "/user/update", user_id=HOSTILE[1], blocked=True)
    return World({"user": HOSTILE, "key": keys[:2], "request": requests[:2]}, str(own["key"]))
