"""The command `test_scalix_litellm.py`: checks a running gateway through its public API, with users made for it."""

import argparse
import json
import os
import secrets
import signal
from collections.abc import Callable, Sequence
from functools import partial

from scalix.cli.checks.bench import Bench
from scalix.cli.checks.free import FreeChecks
from scalix.cli.checks.pro import ProChecks
from scalix.cli.checks.rate_limit import RateLimitChecks
from scalix.cli.checks.report import Report
from scalix.cli.checks.target import HOW_TO_GET_THE_KEY, HOW_TO_START, Target, find_target
from scalix.cli.command_line import EXIT_FAILED, Parser, tell_problems, typed_path
from scalix.domain.identity.published_keys import is_published
from scalix.launch.home import HOME
from scalix.launch.http_client import Client, NoAnswer
from scalix.launch.problems import LaunchError, Problem

PROGRAM = "test_scalix_litellm.py"
EXIT_INTERRUPTED = 130

TESTS = {"free": FreeChecks, "pro": ProChecks, "rate-limit": RateLimitChecks}


def _parser(program: str = PROGRAM) -> argparse.ArgumentParser:
    parser = Parser(
        prog=program,
        description="Check a running Scalix gateway through its public API. Users are made for it and removed again.",
        epilog="Exit code 0: every check passed; 1: one failed; 2: no gateway there, wrong key or wrong usage. "
        "As shipped, all tests together ask the models 16 short questions.",
    )
    tests = [*TESTS, "all"]
    parser.add_argument("--test", required=True, choices=tests, help="what to check; rate-limit uses up a user's hour")
    parser.add_argument("--url", help="the gateway (default: the one of the state directory, else 127.0.0.1:4000)")
    parser.add_argument("--key", help="the master key (default: LITELLM_MASTER_KEY, else the state directory's)")
    parser.add_argument("--env-file", type=typed_path, metavar="FILE", help="the env file of the gateway")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Run the command, called `program`. Returns the exit code."""
    options = _parser(program).parse_args(arguments)
    try:
        target = find_target(HOME, os.environ, url=options.url, key=options.key, env_file=options.env_file)
        client = Client(target.url, target.key, target.trusted)
        skew_s = _reach(target, client)
    except LaunchError as error:
        return tell_problems(error.problems, as_json=options.json)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED

    tell: Callable[[str], None] = (lambda line: None) if options.json else partial(print, flush=True)
    report = Report(tell, target.key)
    bench = Bench(client, report, skew_s=skew_s)
    tell(f"gateway at {target.url}, key from {target.key_source}")
    interrupted = _run(bench, list(TESTS) if options.test == "all" else [options.test])
    tell(f"interrupted; {report.summary}" if interrupted else report.summary)
    if options.json:
        print(json.dumps({"url": target.url, "test": options.test, **report.as_json(), "interrupted": interrupted}))
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if report.count("FAILED") else 0


def _run(bench: Bench, tests: list[str]) -> bool:
    """Run `tests`, and remove their users in any case. Returns whether they were interrupted."""
    interrupted = False
    # The users must be removed when the process is stopped, too.
    usual = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for test in tests:
            TESTS[test](bench).run()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        held = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if bench.users:
            expected = f"{len(bench.users)} users removed"
            bench.report.check("clean-up", "own users", expected, bench.remove_users)
        signal.signal(signal.SIGINT, held)
        signal.signal(signal.SIGTERM, usual)
    return interrupted


def _reach(target: Target, client: Client) -> float:
    """Check that a gateway answers and takes the key. Returns by how many seconds its clock is ahead.

    Raises `LaunchError`.
    """
    try:
        answer = client.get(f"/user/info?user_id=diagnose-{secrets.token_hex(6)}")
    except NoAnswer as error:
        raise LaunchError([Problem(target.url, f"no gateway answers ({error})", HOW_TO_START)]) from None
    if answer.status == 401:
        what = f"the key from {target.key_source} is not this gateway's (401)"
        if is_published(target.key):
            what += ", or is, and counts on its own machine only, since everybody can read it"
        raise LaunchError([Problem(target.url, what, HOW_TO_GET_THE_KEY)])
    if answer.status == 403:
        what = f"the key from {target.key_source} may not make users (403)"
        raise LaunchError([Problem(target.url, what, f"the checks need the master key: {HOW_TO_GET_THE_KEY}")])
    if answer.date_s is None:
        return 0.0
    # The header holds whole seconds.
    return answer.date_s + 0.5 - (answer.sent_s + answer.received_s) / 2
