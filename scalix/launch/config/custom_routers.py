"""Takes `custom_router` out of `scalix.routes`, and tries whether the functions can be called."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping

from scalix.launch.config.findings import Findings
from scalix.launch.config.yaml_source import Step

_ROUTES, _KEY = ("scalix", "routes"), "custom_router"
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_PROGRAM = "scalix.service.routing.loading"
_WITHIN_S = 20


def take_custom_routers(findings: Findings, values: Mapping[str, str]) -> dict[str, str]:
    """Remove the functions from the file and return them by route. `values` are the variables that they see."""
    source, found = findings.source, dict[str, str]()
    for route in source.mapping(*_ROUTES):
        steps = (*_ROUTES, route, _KEY)
        if not isinstance(source.at(steps[:-1]), dict) or (written := source.take(*steps)) is None:
            continue
        if not isinstance(written, str) or not _NAME.fullmatch(written):
            what = f"{_KEY} of the route '{route}' names no function"
            findings.wrong(steps, what, "write package.module:function, such as my_routing:choose")
            continue
        if not source.mapping(*steps[:-1]):
            what = f"the route '{route}' names no tier beside its {_KEY}, and so nobody has it"
            findings.wrong(steps[:-1], what, "add rules for a tier, which hold where the function has no answer")
        found[str(route)] = written
    for written in dict.fromkeys(found.values()):
        places = [(*_ROUTES, route, _KEY) for route, name in found.items() if name == written]
        _try(findings, places[0], written, values)
    return found


def _try(findings: Findings, steps: tuple[Step, ...], written: str, values: Mapping[str, str]) -> None:
    """Import the function in a process of its own, which has the code as it is now and may hang."""
    folder = str(findings.source.path.absolute().parent)
    environment = {**os.environ, **values, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-m", _PROGRAM, folder, written]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_WITHIN_S, check=False)
        problem = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        problem = {"what": f"importing it takes more than {_WITHIN_S} seconds", "fix": "have it do nothing at import"}
    except ValueError:
        problem = {"what": "importing it ends the process", "fix": "correct the module"}
    if problem:
        findings.wrong(steps, f"{_KEY} {written}: {problem['what']}", problem["fix"])
