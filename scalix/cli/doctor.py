"""The command `scalix doctor`: looks at all that a gateway needs, and says what to do."""

import os
import time
from collections.abc import Sequence

from scalix.cli.command_line import Parser, typed_path
from scalix.cli.start import no_options
from scalix.launch.problems import LaunchError


def parser(program: str = "scalix doctor") -> Parser:
    """Its options, those of a start that it means among them."""
    made = Parser(
        prog=program,
        description="Look at environment, keys, config, port, store, providers, certificates, disk, files and "
        "packages, and say of each thing that is amiss what to do. Nothing is started or changed, and nothing is asked "
        "that costs money.",
        epilog="Exit code 0: nothing to do; 1: there are warnings; 2: there are problems, or wrong usage.",
    )
    made.add_argument("--config", type=typed_path, metavar="FILE", help="config (default litellm_proxy_config.yaml)")
    made.add_argument("--env-file", type=typed_path, metavar="FILE", help="variables, in place of the usual env files")
    made.add_argument("--offline", action="store_true", help="call no server: neither the store nor providers")
    made.add_argument("--json", action="store_true", help="one JSON object")
    return made


def main(arguments: Sequence[str] | None = None, *, program: str = "scalix doctor") -> int:
    """Run the command. Returns the exit code."""
    options = parser(program).parse_args(arguments, no_options())
    from scalix.domain.redaction.known_secrets import KnownSecrets
    from scalix.launch.doctor.examination import as_json, as_text, examined, exit_code
    from scalix.launch.doctor.findings import Case, Finding
    from scalix.launch.processes.gathering import Gathered

    secrets = dict(os.environ)
    try:
        found = Gathered.of(options)
        secrets |= found.environment.values
        rows = examined(Case(found, options.offline, time.time()))
    except LaunchError as error:  # there is no environment to begin with
        rows = [("settings", Finding.of(problem)) for problem in error.problems]
    except KeyboardInterrupt:
        return 130
    print((as_json if options.json else as_text)(rows, KnownSecrets(secrets)))
    return exit_code(rows)
