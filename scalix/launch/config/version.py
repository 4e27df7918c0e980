"""A short text by which two gateways can tell whether they go by the same config."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import re2

from scalix.launch.config.references import PLAIN_PREFIX

# The name that a secret in the file gets says something of the secret.
_OF_A_SECRET = re2.compile(PLAIN_PREFIX + "[0-9a-f]+")
_DIGITS = 12


def config_version(*parts: Any) -> str:
    """The digest of what is in force: comments and the values of secrets are no part of it."""
    text = _OF_A_SECRET.sub("", ";".join(map(_stable, parts)))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _stable(value: Any) -> str:
    """A text of it in which sets, which each process orders in its own way, are in order."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_stable(key)}:{_stable(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_stable, value)) + "]"
    if isinstance(value, set | frozenset):
        return "<" + ",".join(sorted(map(_stable, value))) + ">"
    return repr(value)
