"""Reads environment, settings and config of the gateway that a command line means, and all that is wrong with them."""

import argparse
import os
from dataclasses import dataclass, field, replace

from scalix.launch.config.config_environment import with_config_variables
from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.home import HOME
from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.plan import Plan
from scalix.launch.settings.environment import (
    DEFAULT_CONFIG,
    Environment,
    Settings,
    load_environment,
    path_of,
    settings_found,
)
from scalix.launch.settings.tls import CERTIFICATE, PRIVATE_KEY


@dataclass
class Gathered:
    """What could be read. In place of settings that are wrong stand their defaults; `config` is `None` where the file
    can't be used, and `problems` are those of both."""

    environment: Environment
    settings: Settings
    config: GatewayConfig | None = None
    demo: bool = False
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Gathered":
        """What the options of the start script mean. Raises `LaunchError` where there is no environment to begin
        with."""
        named = {CERTIFICATE: options.certificate, PRIVATE_KEY: options.private_key}
        base = {**os.environ, **{name: str(path) for name, path in named.items() if path}}
        environment = load_environment(HOME, base, options.env_file)
        # Found even if other settings are wrong, so that the problems of both are reported together.
        config_path = options.config or path_of(environment.values, HOME, "SCALIX_CONFIG", DEFAULT_CONFIG)
        environment = with_config_variables(environment, config_path)
        demo = bool(options.demo)
        settings, problems = settings_found(
            environment,
            root=HOME,
            host=options.host,
            port=options.port or None,
            workers=options.workers,
            config=config_path,
            demo=demo,
        )
        if options.port == 0:
            settings = replace(settings, port=0)
        found = cls(environment, settings, demo=demo, problems=problems)
        try:
            found._read_config(demo_if_no_key=bool(options.demo_if_no_key))
        except LaunchError as error:
            problems += error.problems
        return found

    def _read_config(self, *, demo_if_no_key: bool) -> None:
        path, values, production = self.settings.config_path, self.environment.values, self.settings.production
        self.config = read_config(path, values, demo=self.demo, production=production)
        if demo_if_no_key and not self.config.provider_keys_present and not production:
            self.config = read_config(path, values, demo=True, production=False)
            self.demo = True

    def plan(self, *, detached: bool = False, workers_option: int | None = None) -> Plan:
        """What a start will run. Raises `LaunchError` with all problems."""
        if self.problems or self.config is None:
            raise LaunchError(self.problems)
        return Plan(self.settings, self.environment, self.config, self.demo, detached, workers_option)
