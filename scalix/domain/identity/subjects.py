"""Subjects: who is charged for a request, and which of the 256 shards has their state."""

from binascii import crc_hqx
from dataclasses import dataclass
from typing import Literal

SubjectKind = Literal["user", "address", "operator"]
SHARDS = 256
# Prefixes of names that only the gateway assigns: no claim, field or record makes a user of such a name.
KEYS_OWN_USER = "key:"
RESERVED_PREFIXES = (KEYS_OWN_USER, "address:", "operator:")


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is charged for a request. The kind is part of the name, so that no user can have the name of an address."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


OPERATOR = Subject("operator", "master")


def user_subject(user_id: str) -> str:
    """The text of the subject that a user is."""
    return str(Subject("user", user_id))


def shard_of(subject: str) -> int:
    """The shard (0 to 255) of a subject's text, by CRC16 (XMODEM) as in Redis Cluster."""
    return crc_hqx(subject.encode(), 0) % SHARDS
