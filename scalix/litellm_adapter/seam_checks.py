"""Compares `seams` with the LiteLLM that is installed, and puts parts of ours in the place of its own.

`python -m scalix.litellm_adapter.seam_checks` prints what has changed, and fails if anything has.
"""

import importlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from scalix.litellm_adapter.seams import SEAMS, Seam

log = logging.getLogger("scalix.seams")

APP = "litellm.proxy.proxy_server:app"


class SeamsChanged(Exception):
    """LiteLLM lacks what the gateway can't do without. Says what, in one line."""


def check() -> None:
    """Raise `SeamsChanged` for what is needed, and is not as it must be."""
    changed = [said for seam in SEAMS if seam.is_needed and (said := problem(seam))]
    if changed:
        raise SeamsChanged(f"this is not the LiteLLM that the gateway is made for: {'; '.join(changed)}")


def stand(*names: str) -> bool:
    """Whether these, each `module:path`, are as they must be. A warning tells what is not."""
    changed = [said for name in names for seam in _BY_NAME[name] if (said := problem(seam))]
    for said in changed:
        log.warning("LiteLLM has changed: %s", said)
    return not changed


def replace(name: str, made_of: Callable[[Any], Any]) -> None:
    """Put what `made_of` makes of LiteLLM's own at `module:path` in its place, if that is as it must be."""
    if stand(name):
        module, _, path = name.partition(":")
        *outer, last = path.split(".")
        holder: Any = reduce(_step, outer, importlib.import_module(module))
        setattr(holder, last, made_of(getattr(holder, last)))


def found_at(name: str) -> Any:
    """What stands at `module:path`. Raises `ImportError`, `AttributeError` or `LookupError`."""
    module, _, path = name.partition(":")
    return reduce(_step, path.split("."), importlib.import_module(module))


def problem(seam: Seam) -> str:
    """What is wrong with a name, and what happens for that; empty if nothing is wrong."""
    wrong = ""
    try:
        found = found_at(seam.name)
    except ImportError as error:  # a module has gone, or what it needs is not installed
        wrong = f"can't be imported ({error})"
    except (AttributeError, LookupError):
        wrong = "is not there"
    else:
        if missing := seam.parameters - _parameters(found, seam.parameters):
            wrong = f"does not take {', '.join(sorted(missing))}"
        elif seam.kind is not None and not _KINDS[seam.kind](found):
            wrong = f"is not of the kind '{seam.kind}'"
    return wrong and f"{seam.name} {wrong}, needed by {' and '.join(seam.users)}: {seam.without}"


def _step(found: Any, part: str) -> Any:
    name, _, key = part.rstrip("]").partition("[")
    if not key:
        return None if _is_of_instances(found, name) else getattr(found, name)
    return {name_of(entry): entry for entry in getattr(found, name)}[key]


def name_of(middleware: Any) -> str:
    """The name of the class of an entry in an app's list of middleware."""
    return str(middleware.cls.__name__)


def _is_of_instances(kind: Any, name: str) -> bool:
    """Whether a class has `name` in its instances only: as a field, or because its `__init__` sets it."""
    if hasattr(kind, name) or not isinstance(kind, type):
        return False
    made = (getattr(vars(base).get("__init__"), "__code__", None) for base in kind.__mro__)
    return name in getattr(kind, "model_fields", ()) or any(code and name in code.co_names for code in made)


def _parameters(found: Any, asked: frozenset[str]) -> frozenset[str]:
    if not asked:
        return asked
    try:
        known = inspect.signature(found).parameters
    except (TypeError, ValueError):  # of something else, or of C code
        return frozenset()
    is_open = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    return asked if is_open else frozenset(known)


def _takes_extras(kind: Any) -> bool:
    """Whether a Pydantic model keeps what has no field of its own, and does not look at it."""
    config = kind.model_config
    return config.get("extra") == "allow" and not config.get("frozen") and not config.get("validate_assignment")


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "dict": lambda found: isinstance(found, dict),
    "set": lambda found: isinstance(found, set),
    "list": lambda found: isinstance(found, list),
    "error": lambda found: isinstance(found, type) and issubclass(found, Exception),
    "open model": _takes_extras,
}
_BY_NAME = {name: [seam for seam in SEAMS if seam.name == name] for name in {seam.name for seam in SEAMS}}


def main() -> int:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would fetch the newest
    changed = [said for seam in SEAMS if (said := problem(seam))]
    print("\n".join(changed) or f"All {len(_BY_NAME)} names are as they must be.")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
