"""Reads secrets from files of their own, as Docker and Kubernetes mount them: `NAME_FILE` names the file of
`NAME`."""

import re
import stat
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path

from scalix.launch.problems import Problem, Wrong, shown_path

SUFFIX = "_FILE"
MOST_BYTES = 65_536
# Only names that surely are secrets: the environment holds other programs' `…_FILE` variables too.
_SECRET = re.compile(
    r".*_(?:API_KEY|MASTER_KEY|MASTER_KEY_PREVIOUS|AUDIT_KEY|ENCRYPTION_KEY|BACKUP_KEY|ACCESS_KEY|ACCESS_KEY_ID|SECRET_KEY"
    r"|API_TOKEN|METRICS_TOKEN|SECRET|PASSWORD)|REDIS_URL"
)
# There, everybody who can read is whoever runs the container.
_MOUNTED_SECRETS = (Path("/run/secrets"), Path("/var/run/secrets"))


def take_secret_files(
    cwd: Path,
    values: MutableMapping[str, str],
    origins: Mapping[str, str],
    problems: list[Problem],
    *,
    only: Collection[str] | None,
    production: bool,
) -> dict[str, Path]:
    """Put the content of each secret's file into `values`, in place of its `NAME_FILE`; returns the files by
    `NAME`.

    Relative paths begin at `cwd`. One line end at the end of a file is not part of the secret. `only` are the
    names to read, `None` for all. What is wrong is added to `problems`, never with the content of a file.
    """
    found: dict[str, Path] = {}
    for variable in sorted(values):
        name = variable.removesuffix(SUFFIX)
        written = values[variable].strip()
        if name == variable or not written or not _SECRET.fullmatch(name) or (only is not None and name not in only):
            continue
        where = origins.get(variable, "environment")
        if values.get(name, "").strip():
            problems.append(Problem(where, f"both {name} and {variable} are set", "keep one of the two"))
            continue
        path = cwd / Path(written).expanduser()
        try:
            secret = _content(path, production=production)
        except Wrong as wrong:
            problems.append(Problem(where, f"{variable} is {shown_path(path)}, {wrong.what}", wrong.fix))
            continue
        values[name] = secret
        del values[variable]
        found[name] = path
    return found


def _content(path: Path, *, production: bool) -> str:
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):
                raise Wrong("which is no file", "name a file that holds the secret and nothing else")
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        fix = "name a file that this user may read and that holds the secret and nothing else"
        raise Wrong(f"which can't be read ({reason})", fix) from None
    if production and mode & 0o004 and not any(path.absolute().is_relative_to(mount) for mount in _MOUNTED_SECRETS):
        raise Wrong("which every user of this machine can read", f"run chmod 600 {shown_path(path)}")
    if len(content) > MOST_BYTES:
        raise Wrong(f"which is larger than {MOST_BYTES} bytes", "name the file that holds the secret")
    try:
        secret = content.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise Wrong("which is not UTF-8 text", "name the file that holds the secret") from None
    if not secret.strip():
        raise Wrong("which is empty", "write the secret into it")
    if "\0" in secret:
        raise Wrong("which holds a zero byte", "write the secret alone into it")
    return secret
