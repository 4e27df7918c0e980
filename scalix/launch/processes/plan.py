"""What a start will run: settings, config, and the programs with their environments."""

import os
import platform
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import scalix
from scalix.domain.identity.published_keys import is_published
from scalix.launch.config.references import texts
from scalix.launch.home import CODE, HOME
from scalix.launch.processes.certificate import FD_VARIABLE
from scalix.launch.processes.child import ChildSpec
from scalix.launch.processes.runfile import POLICY_FILE
from scalix.launch.settings.environment import Environment, Settings
from scalix.launch.settings.litellm_environment import explained, kept_out
from scalix.launch.settings.tls import PASSWORD
from scalix.launch.settings.traces import is_of_traces, trace_notes
from scalix.launch.settings.variable_notes import OURS, variable_notes

if TYPE_CHECKING:
    from scalix.launch.config.config_file import GatewayConfig

# Variables that are the gateway's own wherever they are set.
_OF_THE_STORE = ("REDIS_", "VALKEY_")


def _never() -> "Plan":
    raise NotImplementedError


# How LiteLLM's session keeps connections to providers, which serve both engines: a name is looked up again for a new
# connection after half a minute, for it may lead elsewhere after a fail-over; and of idle connections the kernel finds
# within a minute which have lost their other end, before a request is sent there and waits for its whole time.
_CONNECTIONS = {
    "AIOHTTP_TTL_DNS_CACHE": "30",
    "AIOHTTP_SO_KEEPALIVE": "true",
    "AIOHTTP_TCP_KEEPIDLE": "30",
    "AIOHTTP_TCP_KEEPINTVL": "10",
    "AIOHTTP_TCP_KEEPCNT": "3",
}


@dataclass(frozen=True)
class Plan:
    """Settings, environment and configuration of one gateway."""

    settings: Settings
    environment: Environment
    config: "GatewayConfig"
    demo: bool
    detached: bool = False
    workers_option: int | None = None
    again: Callable[[], "Plan"] = field(default=_never, repr=False, compare=False)
    """Reads everything again, at a reload."""
    log_key: str = field(default_factory=lambda: secrets.token_hex(16), repr=False, compare=False)
    """The key of the users' pseudonyms in the log. It is lost with the run, and with it who a line is about."""

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models in service, in the order of the file."""
        return tuple(self.config.policy.models)

    @property
    def signing_secrets(self) -> list[str]:
        """The names of the variables that tokens are signed with."""
        return [issuer.secret_variable for issuer in self.config.identity.issuers if issuer.secret_variable]

    @property
    def kept_from_litellm(self) -> dict[str, str]:
        """The variables that workers don't get, since LiteLLM would act on them, and what each is."""
        set_there = [name for name in self.config.variables if not name.startswith(_OF_THE_STORE)]
        traced = filter(is_of_traces, self.environment.values)
        return kept_out(self.environment.values, self.config.litellm, [*self.signing_secrets, *set_there, *traced])

    @property
    def notes_on_kept(self) -> tuple[str, ...]:
        """Lines about the variables that are kept from LiteLLM, but for those that the gateway itself reads."""
        return tuple(explained({name: what for name, what in self.kept_from_litellm.items() if name not in OURS}))

    @property
    def notes(self) -> tuple[str, ...]:
        """Lines about the variables: which have no effect, and why."""
        referred, option = self.config.referred, self.workers_option
        known = {**self.environment.values, **self.config.variables}
        return (
            *variable_notes(self.environment, workers_option=option, referred=referred, signing=self.signing_secrets),
            *trace_notes(known, texts(self.config.litellm.get("litellm_settings"))),
        )


def worker_environment(
    plan: Plan, *, rendered_config: Path, store_url: str, master_key: str, demo_url: str | None
) -> dict[str, str]:
    """The environment of a worker: the operator's variables, and those that the launcher sets.

    `rendered_config` is the config that LiteLLM reads; `demo_url` is `None` without a demo provider.
    """
    settings = plan.settings
    hidden = plan.kept_from_litellm
    known = {**plan.environment.values, **plan.config.variables}
    values = {name: value for name, value in known.items() if name not in hidden}
    # The certificate's key reaches them open.
    values.pop(PASSWORD, None)
    values.update(
        CONFIG_FILE_PATH=str(rendered_config),
        SCALIX_CONFIG=str(settings.config_path),
        SCALIX_POLICY=str(settings.state_dir / POLICY_FILE),
        SCALIX_STORE_URL=store_url,
        SCALIX_STATE_DIR=str(settings.state_dir),
        SCALIX_ENV=settings.scalix_env,
        SCALIX_UI_PORT=str(plan.config.policy.ui.own_port),
        SCALIX_DRAIN_S=str(settings.drain_s),
        SCALIX_STREAM_JOIN_MS=str(settings.stream_join_ms),
        SCALIX_DEMO="1" if plan.demo else "0",
        SCALIX_LOG_KEY=plan.log_key,
        LITELLM_MASTER_KEY=master_key,
        LITELLM_LOG_LEVEL=settings.log_level,
        SCALIX_LOG_FORMAT=settings.log_format,
        LITELLM_LOG=_litellm_log(values, settings.log_level),
        # Its price map comes with the package; fetching it would make each start need the network.
        LITELLM_LOCAL_MODEL_COST_MAP="True",
        LITELLM_DONT_SHOW_FEEDBACK_BOX="true",
        # Otherwise it loads the nearest .env by itself, even beside --env-file.
        LITELLM_MODE="PRODUCTION",
        DISABLE_ADMIN_UI="True",
        NO_DOCS="True",
        NO_REDOC="True",
        # Modules beside the config are the operator's own callbacks, guardrails and providers.
        PYTHONPATH=f"{_python_path(values)}:{settings.config_path.absolute().parent}",
        PYTHONUNBUFFERED="1",
    )
    for name, value in {**_CONNECTIONS, "HOME": _home(settings.state_dir)}.items():
        values.setdefault(name, value)
    if demo_url:
        values["SCALIX_DEMO_URL"] = demo_url
    if is_published(master_key) and not settings.production:
        # The edge takes it from this machine only; LiteLLM would not start with it.
        values["LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"] = "true"
    return values


def _home(state_dir: Path) -> str:
    """Where LiteLLM's packages look for settings of their user's: they don't load where that has no home, as one that
    exists only while the gateway runs."""
    home = os.path.expanduser("~")  # noqa: PTH111  # `Path.home` raises then
    return str(state_dir) if home == "~" else home


def versions() -> str:
    """`scalix-gateway 0.1.0 (LiteLLM 1.106.12, Python 3.11.7)`, read from package metadata."""
    return f"scalix-gateway {scalix.__version__} (LiteLLM {version('litellm')}, Python {platform.python_version()})"


def _python_path(values: Mapping[str, str]) -> str:
    others = values.get("PYTHONPATH")
    return f"{CODE}:{others}" if others else str(CODE)


def _litellm_log(values: Mapping[str, str], level: str) -> str:
    # At INFO it writes several lines for each request, which costs more than metering it.
    return values.get("LITELLM_LOG") or ("WARNING" if level == "INFO" else level)


def worker_specs(
    count: int, environment: Mapping[str, str], fd: int, certificate_fd: int | None = None
) -> list[ChildSpec]:
    """How to start `count` workers that share the listening socket `fd`, and the certificate in `certificate_fd`."""
    command = (sys.executable, "-m", "scalix.launch.processes.worker", "--fd", str(fd))
    shared: tuple[int, ...] = (fd,)
    if certificate_fd is not None:
        shared, environment = (fd, certificate_fd), {**environment, FD_VARIABLE: str(certificate_fd)}
    return [
        ChildSpec(f"worker {number}", command, environment, HOME, inherited_fds=shared)
        for number in range(1, count + 1)
    ]


def demo_spec(plan: Plan, port: int) -> ChildSpec:
    """How to start the demo provider, on a free port if `port` is 0. It gets no key."""
    command = (sys.executable, "-m", "scalix_demo", "--port", str(port))
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    known = plan.environment.values
    environment = {name: value for name, value in known.items() if name in kept or name.startswith("SCALIX_DEMO_")}
    return ChildSpec("demo", command, environment | {"PYTHONPATH": _python_path(known), "PYTHONUNBUFFERED": "1"}, HOME)
