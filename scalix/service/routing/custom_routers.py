"""The operator's own functions for all routes that name one."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalix.service.policy_source import PolicySource
from scalix.service.routing.custom_router import CustomRouter
from scalix.service.routing.loading import CantLoad, Hook, loaded

log = logging.getLogger("scalix.routing")


@dataclass(frozen=True, slots=True)
class RouterState:
    """How a function does in this worker."""

    name: str
    overruns: int
    is_off: bool


class CustomRouters:
    """Those of one worker. `folder` is the config file's, in which the operator's modules are looked for."""

    def __init__(self, policy: PolicySource, folder: str) -> None:
        self._policy = policy
        self._folder = folder
        self._routers: Mapping[str, CustomRouter] = {}  # by the function's name
        self._missing: frozenset[str] = frozenset()  # those that could not be loaded

    def load(self) -> None:
        """Load the functions that the policy names, as their code is now. At a reload this runs in a thread: what was
        loaded before serves until it is done."""
        names, before = sorted(set(self._policy.current.custom_routers.values())), self._routers
        hooks = {name: self._hook(name) for name in names}
        self._routers = {name: CustomRouter(name, hook) for name, hook in hooks.items() if hook is not None}
        self._missing = frozenset(name for name, hook in hooks.items() if hook is None)
        for router in before.values():
            router.close()

    def named_by(self, route: str) -> CustomRouter | None:
        """The function of a route, where it has one that could be loaded."""
        name = self._policy.current.custom_routers.get(route)
        return self._routers.get(name) if name is not None else None

    def states(self) -> list[RouterState]:
        """Of each function, in the order of their names. One that can't be loaded is off."""
        loaded_ones = [RouterState(one.name, one.overruns, one.is_off) for one in self._routers.values()]
        return sorted([*loaded_ones, *(RouterState(name, 0, True) for name in self._missing)], key=lambda one: one.name)

    def _hook(self, name: str) -> Hook | None:
        try:
            return loaded(name, self._folder)
        except CantLoad as error:
            log.error("custom_router %s is off: %s; %s, then run --reload", name, error, error.fix)
            return None


def messages_of(body: Mapping[str, Any]) -> list[Any]:
    """A request's messages, whatever its route calls them; a bare text is one of the user's."""
    told = body.get("messages", body.get("input", body.get("prompt")))
    if isinstance(told, str):
        return [{"role": "user", "content": told}]
    return told if isinstance(told, list) else []
