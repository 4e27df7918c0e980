"""Who is charged, and in which of the 256 shards their state lives."""

from binascii import crc_hqx
from dataclasses import dataclass
from typing import Literal

SubjectKind = Literal["user", "address", "operator"]
SHARDS = 256
# Names that the gateway gives. Nobody becomes a user of such a name by a claim, a field or a record.
KEYS_OWN_USER = "key:"
RESERVED_PREFIXES = (KEYS_OWN_USER, "address:", "operator:")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whoever a request is charged to. The kind is part of the name, so no user can be called like an address."""

    kind: SubjectKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


OPERATOR = Subject("operator", "master")


def user_subject(user_id: str) -> str:
    """The text of the subject that a user is."""
    return str(Subject("user", user_id))


def shard_of(subject: str) -> int:
    """The shard of a subject's text, 0 to 255, by the CRC16 (XMODEM) that Redis Cluster uses too."""
    return crc_hqx(subject.encode(), 0) % SHARDS
