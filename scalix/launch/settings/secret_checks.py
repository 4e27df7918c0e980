"""Checks the optional keys: the previous master key, those of audit log and metrics, and those that encrypt."""

import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping, MutableMapping

from scalix.domain.identity.published_keys import is_published
from scalix.domain.ledger.audit_chain import audit_keys
from scalix.launch.settings.master_key import master_key_problem
from scalix.store.backup.backup_file import backup_keys

PREVIOUS, AUDIT, ENCRYPTION = "LITELLM_MASTER_KEY_PREVIOUS", "SCALIX_AUDIT_KEY", "SCALIX_ENCRYPTION_KEY"
METRICS, BACKUP = "SCALIX_METRICS_TOKEN", "SCALIX_BACKUP_KEY"
_HOW_TO_MAKE = {
    AUDIT: "openssl rand -hex 32",
    ENCRYPTION: "openssl rand -base64 32 | tr +/ -_",
    METRICS: "openssl rand -hex 16",
    BACKUP: "openssl rand -base64 32",
}
SHORTEST_AUDIT_KEY = 32
SHORTEST_METRICS_TOKEN = 16
_FERNET_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_FERNET_KEY_BYTES = 32


def optional_key_problems(values: Mapping[str, str], scalix_env: str) -> Iterator[tuple[str, str, str]]:
    """Yield variable, what is wrong with it, and what to write instead. The texts never hold a key."""
    previous = values.get(PREVIOUS) or None
    if previous is not None:
        problem = master_key_problem(previous, scalix_env)
        if problem is not None:
            fix = "write the key that is being replaced; if that is what it was, remove the line: it protects nothing"
            yield PREVIOUS, problem[0].replace("LITELLM_MASTER_KEY", PREVIOUS), fix
        if previous == values.get("LITELLM_MASTER_KEY"):
            yield PREVIOUS, f"{PREVIOUS} is the same key as LITELLM_MASTER_KEY", "write the old key, or remove the line"
    if scalix_env == "production":
        published = [name for name in _HOW_TO_MAKE if is_published(values.get(name, ""))]
        yield from (_to_be_made(name, "is an example that everybody can read") for name in published)
        values = {**values, **dict.fromkeys(published, "")}
    if any(len(key) < SHORTEST_AUDIT_KEY for key in audit_keys(values.get(AUDIT))):
        yield _to_be_made(AUDIT, f"holds a key of less than {SHORTEST_AUDIT_KEY} characters")
    token, encryption = values.get(METRICS) or None, values.get(ENCRYPTION, "")
    if token is not None and len(token) < SHORTEST_METRICS_TOKEN:
        yield _to_be_made(METRICS, f"has less than {SHORTEST_METRICS_TOKEN} characters")
    elif token is not None and token in (values.get("LITELLM_MASTER_KEY"), previous):
        yield _to_be_made(METRICS, "is a master key, which opens far more than the metrics")
    if encryption.strip() and not all(_is_fernet_key(key.strip()) for key in encryption.split(",")):
        yield _to_be_made(ENCRYPTION, "holds a key that is not 32 bytes in URL-safe base64")
    try:
        backup_keys(values.get(BACKUP))
    except ValueError:
        yield _to_be_made(BACKUP, "holds a key that is not 32 bytes in base64")


def _to_be_made(name: str, what: str) -> tuple[str, str, str]:
    return name, f"{name} {what}", how_to_make(name)


def how_to_make(name: str) -> str:
    """How to come by one of these keys."""
    return f"write one made by: {_HOW_TO_MAKE[name]}"


def without_published(values: MutableMapping[str, str]) -> Iterator[str]:
    """Remove optional keys that are published examples from `values`, in development. Yields their names."""
    for name in _HOW_TO_MAKE:
        if is_published(values.get(name, "")):
            del values[name]
            yield name


def _is_fernet_key(key: str) -> bool:
    return bool(_FERNET_KEY.fullmatch(key)) and len(urlsafe_b64decode(key)) == _FERNET_KEY_BYTES
