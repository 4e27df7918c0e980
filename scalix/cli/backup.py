"""`scalix backup`: makes, lists, checks and restores backups. It asks the store itself, so that it works without a
gateway."""

import argparse
import asyncio
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from scalix.cli.acts import A_TABLE, Acts, Options, tell
from scalix.cli.session import Refused
from scalix.cli.tables import print_rows
from scalix.domain.backup import BackupSettings, time_of
from scalix.domain.limits.calendar import rfc3339
from scalix.launch.home import HOME
from scalix.launch.problems import LaunchError, Problem

T = TypeVar("T")
_CONNECTIONS = 2


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `backup` and what it can do."""
    acts = Acts(commands, "backup", "backups of the store and of this machine's files: make, list, check, restore")
    create = acts.add("create", _create, "make a backup now; requests may go on meanwhile")
    listing = acts.add("list", _list, "the backups that are there, the newest first", shapes=A_TABLE)
    verify = acts.add("verify", _verify, "read a backup from its begin to its end; exit code 1 if it is not whole")
    restore = acts.add(
        "restore",
        _restore,
        "write a backup into an empty store, and erase again who was erased since",
        "Stop every gateway of the store first. Nothing is written before the whole backup has been checked. A restore "
        "that broke off is begun anew by calling it again; until then no gateway serves from that store.",
    )
    for one in (verify, restore):
        one.add_argument("name", nargs="?", help="as scalix backup list shows it (default: the newest)")
    restore.add_argument("--replace", action="store_true", help="remove all that the store holds first")
    for one in (create, listing, verify, restore):
        one.add_argument("--to", metavar="PLACE", help="a directory or s3://bucket/prefix (default: as configured)")
        one.add_argument("--endpoint", metavar="URL", help="of an S3-compatible server (default: as configured)")
        one.set_defaults(without_gateway=True)


def _create(options: Options, _: object) -> None:
    settings, answer = _in_store(options, lambda parts, settings: parts.making.create(settings))
    tell(options, {**asdict(answer), "to": settings.to}, _tell_made)
    if not os.environ.get("SCALIX_BACKUP_KEY") and not options.json:
        print("it is not encrypted and holds users' data: set SCALIX_BACKUP_KEY, or keep the place from others")


def _tell_made(options: Options, answer: Any) -> None:
    took_s = answer["took_ms"] / 1000
    print(f"{answer['name']}: {answer['size_bytes']:,} bytes in {answer['to']}, {took_s:.1f} s")


def _list(options: Options, _: object) -> None:
    place = _place(options)[1]
    sizes = _told(place.target.sizes)
    names = [name for name in sorted(sizes, reverse=True) if name in set(_told(place.backups))]
    rows = [{"name": name, "at": rfc3339(time_of(name) or 0), "size_bytes": sizes[name]} for name in names]

    def show(_: Options, answer: Any) -> None:
        print_rows(options, "backups", ("name", "at", "size_bytes"), answer["backups"], "there is none")

    tell(options, {"backups": rows}, show)


def _verify(options: Options, _: object) -> None:
    from scalix.service.backup.making import verify

    _, place = _place(options)
    # Of a backup alone: no store is asked.
    contents = _told(lambda: verify(place, options.name))
    tell(options, asdict(contents), lambda _, answer: print(f"{answer['name']} is whole: {_of(answer)}"))


def _restore(options: Options, _: object) -> None:
    _, restored = _in_store(
        options, lambda parts, _: parts.restoring.restore(options.name, replace=options.replace), is_alone=True
    )

    def show(_: Options, answer: Any) -> None:
        print(f"{answer['contents']['name']} is restored: {_of(answer['contents'])}")
        print("keys, tokens and users that were revoked or blocked since it was made are as they were: do that again")
        if answer["erased_again"]:
            print(f"{answer['erased_again']} users who were erased since are erased again")

    tell(options, asdict(restored), show)


def _of(contents: Any) -> str:
    kind = "encrypted" if contents["is_encrypted"] else "not encrypted"
    return (
        f"{contents['keys']:,} lines of keys, {contents['journal_entries']:,} of journals, "
        f"{contents['archived_days']:,} days of the archive, {kind}"
    )


def _place(options: Options) -> Any:
    """The settings and the place, without a store."""
    from scalix.wiring.backup import place_of

    settings, environ, launch = _settings(options)
    return settings, place_of(settings, launch.state_dir, environ)


def _in_store(
    options: Options, act: Callable[[Any, BackupSettings], Awaitable[T]], *, is_alone: bool = False
) -> tuple[BackupSettings, T]:
    """What `act` answers, with the store of the settings; `is_alone`: no gateway may run meanwhile."""
    from scalix.store.backup.redis_snapshot import TIMEOUT_MS
    from scalix.store.connection.redis_client import connect
    from scalix.store.connection.session import StoreSession
    from scalix.wiring.backup import build_backups, place_of
    from scalix.wiring.environment import key_names

    settings, environ, launch = _settings(options)
    place = place_of(settings, launch.state_dir, environ)

    async def run(url: str) -> T:
        client = connect(url, timeout_ms=TIMEOUT_MS, connections=_CONNECTIONS)
        try:
            session = StoreSession(client, key_names(environ), timeout_ms=TIMEOUT_MS)
            return await act(build_backups(session, launch.state_dir, place), settings)
        finally:
            await client.aclose()

    with _store(launch, is_alone=is_alone) as url:
        return settings, _told(lambda: asyncio.run(run(url)))


@contextmanager
def _store(launch: Any, *, is_alone: bool) -> Iterator[str]:
    """The address of the store: the operator's server, that of the gateway that runs here, or an embedded one that is
    started for as long as the block runs."""
    from scalix.launch.processes.runfile import running
    from scalix.store.connection.server_check import StoreUnusable, check_server

    run = running(launch.state_dir)
    if run is not None and is_alone:
        where = str(launch.state_dir)
        raise LaunchError((Problem(where, "a gateway runs from here", "stop it, and call this again"),))
    if launch.redis_url is not None:
        try:
            check_server(launch.redis_url)
        except StoreUnusable as error:
            raise LaunchError((Problem("environment", error.what, error.fix),)) from None
        yield launch.redis_url
    elif run is not None and run.store_socket:
        yield f"unix://{quote(run.store_socket)}"
    else:
        from scalix.launch.embedded.embedded_store import EmbeddedStore

        with EmbeddedStore(launch.state_dir, output=subprocess.DEVNULL) as store:
            yield store.url


def _settings(options: Options) -> tuple[BackupSettings, dict[str, str], Any]:
    """The settings of backups, the variables, and the launcher's settings. Raises `LaunchError`."""
    from scalix.launch.config.config_environment import with_config_variables
    from scalix.launch.config.config_file import read_config
    from scalix.launch.settings.environment import DEFAULT_CONFIG, load_environment, path_of, resolve_settings

    environment = load_environment(HOME, os.environ, options.env_file)
    config_path = path_of(environment.values, HOME, "SCALIX_CONFIG", DEFAULT_CONFIG)
    environment = with_config_variables(environment, config_path)
    launch = resolve_settings(environment, root=HOME)
    settings = BackupSettings()
    if options.to is None:
        production = environment.scalix_env == "production"
        settings = read_config(config_path, environment.values, demo=False, production=production).policy.backup
    else:
        to = options.to if "://" in options.to else str(Path(options.to).expanduser().absolute())
        settings = replace(settings, to=to)
    if options.endpoint is not None:
        settings = replace(settings, endpoint=options.endpoint)
    return settings, dict(environment.values), launch


def _told(act: Callable[[], T]) -> T:
    """What `act` answers; what goes wrong is one line for the operator."""
    from scalix.service.backup.making import BackupRefused
    from scalix.store.backup.backup_file import BadBackup
    from scalix.store.backup.targets import TargetFailed
    from scalix.store.base import StoreError

    try:
        return act()
    except BadBackup as fault:
        raise Refused(f"the backup can't be used, and nothing was written: {fault}") from None
    except (BackupRefused, TargetFailed, StoreError) as fault:
        raise Refused(str(fault)) from None
    except OSError as error:
        raise Refused(f"{error.filename or 'a file'}: {(error.strerror or type(error).__name__).lower()}") from None
