"""Loads a function of the operator's by its name, `package.module:function`.

Run as a program with a folder and a name, it says what is wrong with it, as JSON: so `--check` and a reload try the
code as it stands now, in a process of its own.
"""

import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

Hook = Callable[[str, str, list[Any]], Any]
_SIGNATURE = "def custom_router(user_id, model, messages)"


class CantLoad(Exception):
    """A function that can't be called as a custom router. `fix` says what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


def loaded(name: str, folder: str) -> Hook:
    """The function, from a module in `folder` or an installed one; of a module that is loaded already, its code is read
    again. Raises `CantLoad`."""
    module_name, _, function = name.partition(":")
    if folder not in sys.path:
        sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        known = sys.modules.get(module_name)
        module = importlib.import_module(module_name) if known is None else importlib.reload(known)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            fix = f"put it into {folder}, beside the config file, or install its package"
            raise CantLoad(f"there is no module {missing!r}", fix) from None
        raise CantLoad(f"the module {module_name!r} imports {missing!r}, which is missing", "install it") from None
    except BaseException as error:
        place = _place_of(error)
        raise CantLoad(f"importing it fails: {type(error).__name__}{place}", "correct the module") from None
    found: Any = module
    for part in function.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise CantLoad(f"the module {module_name!r} has no {function!r}", f"write {_SIGNATURE} in it")
    if not callable(found):
        raise CantLoad(f"it is no function but a {type(found).__name__}", f"write {_SIGNATURE}")
    if inspect.iscoroutinefunction(found):
        raise CantLoad("it is async, and is called in a thread", f"write {_SIGNATURE}, without async")
    try:
        inspect.signature(found).bind("user", "model", [])
    except TypeError:
        what = f"it can't be called with user_id, model and messages: it is {function}{inspect.signature(found)}"
        raise CantLoad(what, f"write {_SIGNATURE}") from None
    except ValueError:
        pass  # of what is written in C nobody knows the signature
    return found  # type: ignore[no-any-return]


def _place_of(error: BaseException) -> str:
    """Where in the operator's code it failed, without the error's text: that may quote a secret."""
    if isinstance(error, SyntaxError):
        return f" at {error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if len(frames) > 1 else ""


def main() -> None:
    """Print what is wrong, or `{}`. What the module prints itself goes to standard error."""
    answer, sys.stdout = sys.stdout, sys.stderr
    folder, name = sys.argv[1:]
    problem = {}
    try:
        loaded(name, folder)
    except CantLoad as error:
        problem = {"what": str(error), "fix": error.fix}
    print(json.dumps(problem), file=answer, flush=True)
    os._exit(0)  # whatever threads the module has begun


if __name__ == "__main__":
    main()
