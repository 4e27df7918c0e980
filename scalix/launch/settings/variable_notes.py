"""What is to be said of the variables: which have no effect, and why. Nothing that is set is passed over in silence."""

from collections.abc import Collection, Iterator, Mapping

from scalix.domain.identity.published_keys import is_published
from scalix.launch.config.references import FORMER_NAMES
from scalix.launch.settings.environment import WORKER_VARIABLES, Environment
from scalix.launch.settings.known_variables import unknown_variables
from scalix.launch.settings.master_key import HOW_TO_MAKE_ONE
from scalix.launch.settings.secret_checks import PREVIOUS


def variable_notes(
    environment: Environment, *, workers_option: int | None, referred: Collection[str], signing: Collection[str]
) -> Iterator[str]:
    """Lines for the operator. `referred` are the variables that the config refers to, `signing` those of them that
    users' tokens are signed with."""
    values = environment.values
    yield from environment.notes
    yield from _published(environment, signing)
    yield from _workers(environment, workers_option)
    for former, name in _unused_names(values, referred):
        yield f"{environment.where(former)}: {former} has no effect: {name} is set, and the config refers to that"
    for name, meant in unknown_variables(values, referred):
        fix = f"write {meant}" if meant else "scalix_config.env.example has those that do"
        yield f"{environment.where(name)}: {name} has no effect: there is no such variable; {fix}"


def _published(environment: Environment, signing: Collection[str]) -> Iterator[str]:
    for name in ("LITELLM_MASTER_KEY", PREVIOUS):
        if is_published(environment.values.get(name, "")):
            what = f"{name} is a key that everybody can read, so it counts for requests from this machine only"
            yield f"{environment.where(name)}: {what}; {HOW_TO_MAKE_ONE}"
    for name in signing:
        if is_published(environment.values.get(name, "")):
            what = f"{name} is a secret that everybody can read: anybody can sign tokens with it"
            yield f"{environment.where(name)}: {what}; write one made by: openssl rand -hex 32"


def _workers(environment: Environment, option: int | None) -> Iterator[str]:
    written = [name for name in WORKER_VARIABLES if environment.values.get(name, "").strip()]
    winner = "--workers" if option is not None else (written.pop(0) if written else "")
    for name in written:
        yield f"{environment.where(name)}: {name} has no effect: {winner} says how many workers there are"
    if environment.values.get("GUNICORN_THREADS", "").strip():
        where = environment.where("GUNICORN_THREADS")
        what = "GUNICORN_THREADS has no effect: a worker serves its requests in one thread"
        yield f"{where}: {what}; LITELLM_MAX_WORKERS is the number of workers"


def _unused_names(values: Mapping[str, str], referred: Collection[str]) -> Iterator[tuple[str, str]]:
    for name, formers in FORMER_NAMES.items():
        for former in formers:
            if name in referred and former not in referred and values.get(former, "").strip():
                yield former, name
