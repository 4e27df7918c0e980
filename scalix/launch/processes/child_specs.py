"""The commands of a run's children: workers, and the provider that stands in for others."""

import sys
from collections.abc import Mapping

from scalix.launch.processes.child import ChildSpec
from scalix.launch.processes.plan import ROOT, Plan, helper_environment


def worker_specs(count: int, environment: Mapping[str, str], fd: int) -> list[ChildSpec]:
    """`count` workers that share the listening socket `fd`."""
    command = (sys.executable, "-m", "scalix.launch.processes.worker", "--fd", str(fd))
    return [
        ChildSpec(f"worker {number}", command, environment, ROOT, inherited_fds=(fd,)) for number in range(1, count + 1)
    ]


def demo_spec(plan: Plan, port: int) -> ChildSpec:
    """The demo provider; with `port` 0 at one that is free."""
    command = (sys.executable, "-m", "scalix_demo", "--port", str(port))
    return ChildSpec("demo", command, helper_environment(plan), ROOT)
