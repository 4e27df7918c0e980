"""The command `start_scalix_litellm.py`: starts, checks, stops and reloads a gateway, and shows its status."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from scalix.cli.command_line import EXIT_WRONG_INPUT, Parser, expected, tell_problems, typed_path
from scalix.launch.home import HOME, START_SCRIPT
from scalix.launch.problems import LaunchError

if TYPE_CHECKING:
    from scalix.launch.processes.plan import Plan

PROGRAM = START_SCRIPT

EXIT_NOT_RUNNING = 3
ACTIONS = ("status", "stop", "reload", "check", "version")
# The options that go with each action, beside --env-file, which may name the state directory.
_GOES_WITH = {
    "status": {"json", "port"},
    "stop": {"port", "now"},
    "reload": {"port"},
    "check": {
        "host",
        "port",
        "certificate",
        "private_key",
        "config",
        "workers",
        "demo",
        "demo_if_no_key",
        "json",
        "offline",
    },
    "version": set[str](),
}
_START_ONLY = (
    "host",
    "port",
    "certificate",
    "private_key",
    "config",
    "workers",
    "demo",
    "demo_if_no_key",
    "detach",
    "quiet",
)


def _parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    parser = Parser(
        prog=program,
        description="Start the Scalix gateway: the stock LiteLLM proxy behind an edge that meters, limits and charges.",
        epilog="Settings come from the environment, then --env-file, else scalix_config.env and .env; "
        "scalix_config.env.example explains each. Of several gateways, --port or SCALIX_STATE_DIR says which one "
        "--status, --stop and --reload mean.",
    )
    start = parser.add_argument_group("starting")
    start.add_argument("--host", help="address to listen on (LITELLM_HOST, default 127.0.0.1)")
    start.add_argument("--port", type=_port, help="port to listen on, 0 for a free one (LITELLM_PORT, default 4000)")
    start.add_argument("--certificate", type=typed_path, metavar="FILE", help="speak TLS (SCALIX_TLS_CERTIFICATE)")
    start.add_argument("--private-key", type=typed_path, metavar="FILE", help="its key, if in a file of its own")
    start.add_argument("--config", type=typed_path, metavar="FILE", help="config (default litellm_proxy_config.yaml)")
    start.add_argument("--env-file", type=typed_path, metavar="FILE", help="variables, in place of the usual env files")
    start.add_argument("--workers", type=int, metavar="N", help="workers (LITELLM_MAX_WORKERS, default: the cores)")
    start.add_argument("--demo", action="store_true", help="a built-in provider stands in for all; no key needed")
    start.add_argument("--demo-if-no-key", action="store_true", help="like --demo when no provider's key is set")
    start.add_argument("--detach", action="store_true", help="run in the background; returns when ready")
    start.add_argument("--quiet", action="store_true", help="show nothing in the terminal but the start block")
    actions = parser.add_argument_group("instead of starting")
    actions.add_argument("--status", action="store_true", help="exit 0: ready, 1: up but not ready, 3: not running")
    actions.add_argument("--stop", action="store_true", help="finish requests in flight and stop")
    actions.add_argument("--reload", action="store_true", help="read the config again; exit 2: nothing was changed")
    actions.add_argument("--check", action="store_true", help="check settings, config and store, start nothing")
    actions.add_argument("--version", action="store_true", help="print the versions")
    parser.add_argument("--offline", action="store_true", help="with --check: call no server, not the store either")
    parser.add_argument("--now", action="store_true", help="with --stop: cut the requests in flight")
    parser.add_argument("--json", action="store_true", help="with --status or --check: one JSON object")
    return parser


def no_options() -> argparse.Namespace:
    """The options of a start that has none on its command line."""
    return _parser().parse_args([])


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise expected("a port from 1 to 65535, or 0 for a free one", text)
    return int(text)


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Run the command. Returns the exit code; for wrong input 2, with one line for each problem on standard error."""
    parser = _parser(program)
    options = parser.parse_args(arguments)
    action = _action(parser, options)
    try:
        if action == "version":
            from scalix.launch.processes.plan import versions

            print(versions())
            return 0
        if action is None:
            return _start(options)
        return _check(options) if action == "check" else _ask_running(action, options)
    except LaunchError as error:
        return tell_problems(error.problems)
    except OSError as error:
        remedy = _remedy(error.filename) if isinstance(error, PermissionError) else "see to that path"
        print(f"{error.filename or PROGRAM}: {error.strerror}; {remedy}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    except KeyboardInterrupt:
        return 0


def _action(parser: argparse.ArgumentParser, options: argparse.Namespace) -> str | None:
    asked = [action for action in ACTIONS if getattr(options, action)]
    if len(asked) > 1:
        parser.error(f"--{asked[0]} and --{asked[1]} can't be asked for together")
    if not asked:
        if options.json:
            parser.error("--json goes with --status or --check")
        if options.offline:
            parser.error("--offline goes with --check")
        if options.now:
            parser.error("--now goes with --stop")
        if options.detach and options.quiet:
            parser.error("--quiet is about the terminal and --detach leaves it: give one of them")
        return None
    action = asked[0]
    if options.port == 0 and action != "check":
        parser.error(f"--port 0 with --{action} names no gateway; give the port that it listens on")
    for name in (*_START_ONLY, "json", "offline", "now"):
        if getattr(options, name) not in (None, False) and name not in _GOES_WITH[action]:
            flag = f"--{name.replace('_', '-')}"
            hint = ": --port says which gateway is meant" if name in ("host", "config") else ""
            parser.error(f"{flag} does not go with --{action}{hint}")
    return action


def _ask_running(action: str, options: argparse.Namespace) -> int:
    """Do what is for a running gateway: that of `--port`, else that of the state directory."""
    from scalix.launch.processes.control import reload_gateway, stop_gateway
    from scalix.launch.processes.status import gateway_of_port, none_there, print_status

    state_dir = _state_dir(options)
    if options.port is not None:
        found = gateway_of_port(options.port, state_dir)
        if found is None:
            line = none_there(options.port)
            if options.json:
                print(json.dumps({"state": "not running", "ready": False, "port": options.port, "detail": line}))
            else:
                print(line, file=sys.stdout if action == "status" else sys.stderr)
            return EXIT_NOT_RUNNING
        state_dir = found
    if action == "status":
        return print_status(state_dir, as_json=options.json, key=lambda: _master_key(options, state_dir))
    return stop_gateway(state_dir, now=options.now) if action == "stop" else reload_gateway(state_dir)


def _master_key(options: argparse.Namespace, state_dir: Path) -> str:
    """The master key as this user may know it; empty if not."""
    from scalix.launch.config.config_environment import MASTER_KEY
    from scalix.launch.settings.environment import load_environment
    from scalix.launch.settings.master_key import MASTER_KEY_FILE

    with suppress(LaunchError, OSError, UnicodeError):
        values = load_environment(HOME, os.environ, options.env_file, secrets=(MASTER_KEY,)).values
        if found := values.get(MASTER_KEY, "").strip():
            return found
        return (state_dir / MASTER_KEY_FILE).read_text(encoding="utf-8").strip()
    return ""


def _state_dir(options: argparse.Namespace) -> Path:
    """The state directory. It is found even if other settings are wrong, so that the gateway can be stopped."""
    from scalix.launch.settings.environment import DEFAULT_STATE_DIR, load_environment, path_of

    values: Mapping[str, str] = os.environ
    if not values.get("SCALIX_STATE_DIR", "").strip():
        values = load_environment(HOME, os.environ, options.env_file, secrets=()).values
    return path_of(values, HOME, "SCALIX_STATE_DIR", DEFAULT_STATE_DIR).absolute()


def _plan(options: argparse.Namespace) -> "Plan":
    from scalix.launch.processes.gathering import Gathered

    plan = Gathered.of(options).plan(detached=bool(options.detach), workers_option=options.workers)
    return replace(plan, again=lambda: _plan(options))


def _remedy(filename: object) -> str:
    """What to do about a file that may not be read or written."""
    from scalix.launch.processes.runfile import LOCK_FILE, RUN_FILE
    from scalix.launch.settings.master_key import MASTER_KEY_FILE

    path = Path(os.fsdecode(filename)) if isinstance(filename, str | bytes) else Path()
    # A gateway's state is private to the user who runs it. All else may lack a right for any reason.
    if path.name in (LOCK_FILE, RUN_FILE, MASTER_KEY_FILE):
        for place in (path, path.parent):
            with suppress(OSError):
                if place.stat().st_uid != os.geteuid():
                    return "run this as the user who started the gateway"
    return "give this user the right to it, or name another path"


def _check(options: argparse.Namespace) -> int:
    """Print what would run, once the store that REDIS_* name has been looked at."""
    from scalix.launch.embedded.store_child import check_named_store

    try:
        plan = _plan(options)
        if not options.offline:
            check_named_store(plan.settings, plan.environment.store_variables)
    except LaunchError as error:
        return tell_problems(error.problems, as_json=options.json)
    from scalix.launch.processes.check_report import as_json, as_text

    print(json.dumps(as_json(plan)) if options.json else as_text(plan))
    return 0


def _start(options: argparse.Namespace) -> int:
    plan = _plan(options)
    if not options.detach:
        return _run(plan, quiet=options.quiet)
    from scalix.launch.processes.detach import run_detached

    return run_detached(lambda on_ready: _run(plan, quiet=False, on_ready=on_ready))


def _run(plan: "Plan", *, quiet: bool, on_ready: Callable[[], None] = lambda: None) -> int:
    """Run the gateway until it is stopped."""
    from scalix.launch.processes.open_files import allow_open_files
    from scalix.launch.processes.output import Output
    from scalix.launch.processes.supervisor import Supervisor

    allow_open_files()
    output = Output(quiet=quiet, verbose=plan.settings.log_level == "DEBUG")
    try:
        code = Supervisor(plan, output, on_ready).run()
    except LaunchError as error:
        for problem in error.problems:
            output.fail(str(problem))
        return EXIT_WRONG_INPUT
    except KeyboardInterrupt:
        return 0
    finally:
        output.close()
    if not plan.detached:
        # Everything is closed; a thread that still looks a name up would hold the end up for as long as that takes.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
