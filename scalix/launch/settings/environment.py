"""Loads the environment of the gateway from its layers, and reads the launcher's settings from it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from scalix.launch.problems import LaunchError, Problem, fix_for, shown_path
from scalix.launch.processes.cores import default_workers
from scalix.launch.processes.patience import DEVELOPMENT_DRAIN_S, DRAIN_VARIABLE, MOST_DRAIN_S, default_drain_s
from scalix.launch.settings.env_files import EnvFile, read_env_file
from scalix.launch.settings.master_key import master_key_problem
from scalix.launch.settings.redis_url import STORE_VARIABLES, Report, parse_flag, parse_whole_number, redis_url
from scalix.launch.settings.secret_checks import how_to_make, optional_key_problems, without_published
from scalix.launch.settings.secret_files import take_secret_files
from scalix.launch.settings.tls import TlsSettings, tls_settings

ScalixEnv = Literal["development", "staging", "production"]
SCALIX_ENVS: tuple[ScalixEnv, ...] = get_args(ScalixEnv)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4000
MOST_WORKERS = 256
WORKER_VARIABLES = ("LITELLM_MAX_WORKERS", "GUNICORN_WORKERS")
"""What says how many workers there are, below `--workers`, the strongest first."""
DEFAULT_WORKER_MAX_RSS_MB = 1_500
LEAST_WORKER_MAX_RSS_MB = 100
DEFAULT_WORKER_HANG_S = 60
LEAST_WORKER_HANG_S = 5
DEFAULT_STREAM_JOIN_MS = 100
MOST_STREAM_JOIN_MS = 1000
DEFAULT_LOG_LEVEL = "INFO"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
DEFAULT_LOG_FORMAT = "text"
LOG_FORMATS = ("text", "json")
DEFAULT_LOG_FILE = Path("logs/litellm.log")
DEFAULT_STATE_DIR = Path(".scalix")
DEFAULT_CONFIG = Path("litellm_proxy_config.yaml")


@dataclass(frozen=True, slots=True)
class Environment:
    """All variables, those of the real environment and those of env files.

    `sources` are the files that were read, strongest first; `origins` has `file:line` of each variable that a
    file set. `secret_files` are files that hold a whole secret, by the secret's name; `notes` are lines for the
    operator. `master_key_name` is the variable that the master key came from; empty if it stands in the config
    file.
    """

    values: Mapping[str, str]
    sources: tuple[Path, ...]
    scalix_env: ScalixEnv
    origins: Mapping[str, str] = field(default_factory=dict)
    secret_files: Mapping[str, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    master_key_name: str = "LITELLM_MASTER_KEY"

    def where(self, name: str) -> str:
        """Return where a variable was set, as a `Problem` shows it."""
        return self.origins.get(name, "environment")

    @property
    def store_variables(self) -> tuple[tuple[str, str], ...]:
        """The variables that name a store, each with where it was set."""
        return tuple((name, self.where(name)) for name in STORE_VARIABLES if self.values.get(name, "").strip())


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the launcher. `redis_url` of `None` means the embedded store. `master_key` of `None`, in
    development only, means that one is generated."""

    host: str
    port: int
    workers: int
    log_level: str
    log_file: Path
    state_dir: Path
    config_path: Path
    redis_url: str | None = field(repr=False)
    master_key: str | None = field(repr=False)
    scalix_env: ScalixEnv
    stream_join_ms: int = DEFAULT_STREAM_JOIN_MS
    worker_max_rss_mb: int = DEFAULT_WORKER_MAX_RSS_MB
    log_format: str = DEFAULT_LOG_FORMAT
    worker_hang_s: int = DEFAULT_WORKER_HANG_S
    drain_s: int = DEVELOPMENT_DRAIN_S
    tls: TlsSettings | None = None

    @property
    def production(self) -> bool:
        """Whether the rules for production hold."""
        return self.scalix_env == "production"


def load_environment(
    cwd: Path, base: Mapping[str, str], env_file: Path | None = None, *, secrets: Collection[str] | None = None
) -> Environment:
    """The variables of `base`, then of `env_file`, or without one of `scalix_config.<SCALIX_ENV>.env`,
    `scalix_config.env` and `.env` in `cwd`; what comes first wins. An `env_file` stands alone, so that a forgotten
    `.env` can't add to it.

    Where `NAME_FILE` is set for a secret, the file's content is the value of `NAME`. `secrets` are the names for which
    such files are read; `None` means all.

    Raises `LaunchError` with every problem: a missing `env_file`, unreadable files, lines that are no assignments.
    """
    problems: list[Problem] = []
    usual = [path for path in (cwd / "scalix_config.env", cwd / ".env") if path.is_file()]
    files = [read_env_file(path, problems) for path in (usual if env_file is None else [cwd / env_file])]
    scalix_env = _scalix_env(base, files, problems)
    own = cwd / f"scalix_config.{scalix_env}.env"
    if env_file is None and own.is_file():
        files.insert(0, read_env_file(own, problems))
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    for file in reversed(files):
        values.update(file.values)
        origins.update(file.origins)
    values.update(base)
    values["SCALIX_ENV"] = scalix_env
    origins = {name: origin for name, origin in origins.items() if name not in base}
    secret_files = take_secret_files(
        cwd, values, origins, problems, only=secrets, production=scalix_env == "production"
    )
    if problems:
        raise LaunchError(problems)
    published = without_published(values) if scalix_env != "production" else ()
    what = "is an example that everybody can read, so it counts as not set"
    notes = [f"{origins.get(name, 'environment')}: {name} {what}; {how_to_make(name)}" for name in published]
    return Environment(
        values=MappingProxyType(values),
        sources=tuple(file.path for file in files),
        scalix_env=scalix_env,
        origins=origins,
        secret_files=secret_files,
        notes=tuple(notes),
    )


def _scalix_env(base: Mapping[str, str], files: list[EnvFile], problems: list[Problem]) -> ScalixEnv:
    layers = [("environment", base), *((file.origins.get("SCALIX_ENV", ""), file.values) for file in files)]
    said = ((where, values["SCALIX_ENV"].strip()) for where, values in layers if "SCALIX_ENV" in values)
    where, word = next(said, ("", ""))
    for known in SCALIX_ENVS:
        if (word or "development") == known:
            return known
    fix = fix_for(word, SCALIX_ENVS, "SCALIX_ENV=")
    problems.append(Problem(where, f"SCALIX_ENV is '{word}', which is no environment", fix))
    return "development"


def resolve_settings(environment: Environment, *, root: Path, **options: Any) -> Settings:
    """The settings of `environment`, as `settings_found` reads them. Raises `LaunchError` with every problem."""
    settings, problems = settings_found(environment, root=root, **options)
    if problems:
        raise LaunchError(problems)
    return settings


def settings_found(
    environment: Environment,
    *,
    root: Path,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    config: Path | None = None,
    demo: bool = False,
) -> tuple[Settings, list[Problem]]:
    """The settings of `environment`, and all that is wrong with them, in whose place the defaults stand; an option that
    is not `None` is stronger than its variable.

    Relative paths of variables are taken from `root`, the project's directory, those of options from the current one.
    """
    problems: list[Problem] = []
    values = dict(environment.values)
    options = {"LITELLM_HOST": host, "LITELLM_PORT": port, "LITELLM_MAX_WORKERS": workers}
    flags = {"LITELLM_HOST": "--host", "LITELLM_PORT": "--port", "LITELLM_MAX_WORKERS": "--workers"}
    workers_name = WORKER_VARIABLES[0]
    if workers is None:
        workers_name = next((name for name in WORKER_VARIABLES if values.get(name, "").strip()), workers_name)
    values.update({name: str(option) for name, option in options.items() if option is not None})

    def report(name: str, what: str, fix: str) -> None:
        if options.get(name) is not None:
            flag = flags[name]
            problems.append(Problem("command line", what.replace(name, flag), fix.replace(f"{name}=", f"{flag} ")))
        else:
            problems.append(Problem(environment.where(name), what, fix))

    named_config = path_of(values, root, "SCALIX_CONFIG", DEFAULT_CONFIG)
    master_key = values.get("LITELLM_MASTER_KEY") or None
    if key_problem := master_key_problem(master_key, environment.scalix_env):
        report("LITELLM_MASTER_KEY", *key_problem)
    for name, what, fix in optional_key_problems(values, environment.scalix_env):
        report(name, what, fix)
    if environment.scalix_env == "production":
        problems += _world_readable(environment.sources)
    settings = Settings(
        host=_host(values, report),
        port=parse_whole_number(values, "LITELLM_PORT", DEFAULT_PORT, 1, 65535, report),
        workers=parse_whole_number(values, workers_name, 1 if demo else default_workers(), 1, MOST_WORKERS, report),
        log_level="DEBUG" if parse_flag(values, "DEBUG_MODE", report) else _log_level(values, report),
        log_file=path_of(values, root, "LITELLM_LOG_FILE", DEFAULT_LOG_FILE),
        state_dir=path_of(values, root, "SCALIX_STATE_DIR", DEFAULT_STATE_DIR),
        config_path=config.expanduser().absolute() if config else named_config,
        redis_url=redis_url(values, report),
        master_key=master_key,
        scalix_env=environment.scalix_env,
        stream_join_ms=parse_whole_number(
            values, "SCALIX_STREAM_JOIN_MS", DEFAULT_STREAM_JOIN_MS, 0, MOST_STREAM_JOIN_MS, report
        ),
        worker_max_rss_mb=_worker_max_rss_mb(values, report),
        log_format=_log_format(values, report),
        worker_hang_s=_worker_hang_s(values, report),
        drain_s=parse_whole_number(
            values, DRAIN_VARIABLE, default_drain_s(environment.scalix_env), 0, MOST_DRAIN_S, report
        ),
        tls=tls_settings(values, root, report, production=environment.scalix_env == "production"),
    )
    return settings, problems


def path_of(values: Mapping[str, str], root: Path, name: str, default: Path) -> Path:
    """The path that the variable `name` gives, else `default`; a relative one is taken from `root`."""
    return root / Path(values.get(name, "").strip() or default).expanduser()


def _worker_max_rss_mb(values: Mapping[str, str], report: Report) -> int:
    name = "SCALIX_WORKER_MAX_RSS_MB"
    most = parse_whole_number(values, name, DEFAULT_WORKER_MAX_RSS_MB, 0, 2**20, report)
    if 0 < most < LEAST_WORKER_MAX_RSS_MB:
        fix = f"write at least {LEAST_WORKER_MAX_RSS_MB}, or {name}=0 to replace no worker"
        report(name, f"{name} is {most}, less than a worker has from the start", fix)
    return most


def _worker_hang_s(values: Mapping[str, str], report: Report) -> int:
    name = "SCALIX_WORKER_HANG_S"
    after_s = parse_whole_number(values, name, DEFAULT_WORKER_HANG_S, 0, 86_400, report)
    if 0 < after_s < LEAST_WORKER_HANG_S:
        fix = f"write at least {LEAST_WORKER_HANG_S}, or {name}=0 to replace no worker"
        report(name, f"{name} is {after_s}, less than a busy worker may need", fix)
    return after_s


def _host(values: Mapping[str, str], report: Report) -> str:
    host = values.get("LITELLM_HOST", "").strip() or DEFAULT_HOST
    if any(character in host for character in "/ @?#") or host.count(":") == 1:
        report("LITELLM_HOST", "LITELLM_HOST is not an address", f"write for example LITELLM_HOST={DEFAULT_HOST}")
    return host


def _log_level(values: Mapping[str, str], report: Report) -> str:
    word = values.get("LITELLM_LOG_LEVEL", "").strip().upper() or DEFAULT_LOG_LEVEL
    word = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(word, word)
    if word not in LOG_LEVELS:
        fix = fix_for(word, LOG_LEVELS, "LITELLM_LOG_LEVEL=")
        report("LITELLM_LOG_LEVEL", "LITELLM_LOG_LEVEL is no log level", fix)
    return word


def _log_format(values: Mapping[str, str], report: Report) -> str:
    word = values.get("SCALIX_LOG_FORMAT", "").strip().lower() or DEFAULT_LOG_FORMAT
    if word not in LOG_FORMATS:
        fix = fix_for(word, LOG_FORMATS, "SCALIX_LOG_FORMAT=")
        report("SCALIX_LOG_FORMAT", "SCALIX_LOG_FORMAT is neither text nor json", fix)
    return word


def _world_readable(sources: tuple[Path, ...]) -> list[Problem]:
    """An env file holds the providers' keys, so in production no other user of the machine may read it."""
    return [
        Problem(where, "every user of this machine can read this env file", f"run chmod 600 {where}")
        for path, where in ((path, shown_path(path)) for path in sources)
        if path.stat().st_mode & 0o004
    ]
