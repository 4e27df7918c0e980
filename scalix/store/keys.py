"""Every key name in the store. A subject's keys share its shard's hash tag, so a Redis Cluster keeps them together.

| key                          | type       | holds                                     | lives                       |
|------------------------------|------------|-------------------------------------------|-----------------------------|
| `{sXX}:w:<subject>`          | hash       | windows: see lua/windows.lua              | a month after last month    |
| `{sXX}:f:<subject>`          | hash       | requests in flight: id -> reservation     | 63 days after last admit   |
| `{sXX}:l`                    | sorted set | lease index: "id subject" by end in ms    | 63 days after last admit   |
| `{sXX}:e:<subject>:<day>`    | hash       | events of a day: id -> event              | `EVENT_LIFETIME_MS`         |
| `{sXX}:x:<request id>`       | string     | tombstone of a released request           | `TOMBSTONE_LIFETIME_MS`     |
| `{sXX}:u:<subject>`          | hash       | the user's record                         | until deleted               |
| `{sXX}:h`                    | hash       | shadow counts: "day limit tier" -> number | `SHADOW_DAYS` after the last |
| `epoch`                      | string     | a random text, lost with all the rest     | `EPOCH_LIFETIME_MS`, renewed |
| `{sXX}:m:<subject>`          | string     | there when an address was merged into it  | `MERGED_LIFETIME_MS`        |
| `{sXX}:n`                    | sorted set | names of the users that have a record     | until they are deleted      |
| `{sXX}:k:<key id>`           | hash       | a virtual key's record: see lua/put_key.lua | until deleted             |
| `{sXX}:q:<key id>`           | hash       | its windows: see lua/windows.lua          | as long as its record       |
| `{sXX}:o:<subject>`          | set        | ids of a user's virtual keys              | until they are deleted      |
| `key:<SHA-256 of a secret>`  | string     | "key id, user": where the record is       | as the record; grace        |
| `alias:<alias>`              | string     | the same                                  | as the record               |
| `key-list`                   | sorted set | "key id, user" of all keys by their making | until they are deleted     |
| `{audit}:log`                | stream     | the audit log: see lua/audit.lua          | trimmed by age              |
"""

from dataclasses import dataclass

from scalix.domain.calendar import window_index
from scalix.domain.limits import Window
from scalix.domain.subjects import SHARDS, shard_of

EVENT_LIFETIME_MS = 35 * 86_400_000
TOMBSTONE_LIFETIME_MS = 10 * 60_000
EPOCH_LIFETIME_MS = 7 * 86_400_000
MERGED_LIFETIME_MS = 400 * 86_400_000


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds key names under one prefix, such as `scalix:`."""

    prefix: str

    def __post_init__(self) -> None:
        if "{" in self.prefix or "}" in self.prefix:
            # The first pair of braces in a key is its hash tag, and that has to be the shard's.
            raise ValueError("a key prefix must not hold { or }")

    def _tag(self, subject: str) -> str:
        return f"{self.prefix}{{s{shard_of(subject):02x}}}"

    def windows(self, subject: str) -> str:
        """A subject's windows."""
        return f"{self._tag(subject)}:w:{subject}"

    def in_flight(self, subject: str) -> str:
        """A subject's requests in flight."""
        return f"{self._tag(subject)}:f:{subject}"

    def leases(self, subject: str) -> str:
        """The lease index of the subject's shard."""
        return f"{self._tag(subject)}:l"

    def all_leases(self) -> list[str]:
        """The lease indexes of all shards."""
        return [f"{self.prefix}{{s{shard:02x}}}:l" for shard in range(SHARDS)]

    def events(self, subject: str, admitted_ms: int) -> str:
        """A subject's events of the day (index since 1970) that `admitted_ms` lies in."""
        return f"{self._tag(subject)}:e:{subject}:{window_index(Window.DAY, admitted_ms)}"

    def tombstone(self, subject: str, request_id: str) -> str:
        """There when a request was released before it was admitted."""
        return f"{self._tag(subject)}:x:{request_id}"

    def shadow(self, subject: str) -> str:
        """What limits that are not enforced would have refused, of the subject's shard."""
        return f"{self._tag(subject)}:h"

    def all_shadows(self) -> list[str]:
        """The shadow counts of all shards."""
        return [f"{self.prefix}{{s{shard:02x}}}:h" for shard in range(SHARDS)]

    def epoch(self) -> str:
        """By which a store that was emptied is known."""
        return f"{self.prefix}epoch"

    def merged(self, subject: str) -> str:
        """There when an address's use has been merged into the subject's."""
        return f"{self._tag(subject)}:m:{subject}"

    def user_names(self, subject: str) -> str:
        """The users of the subject's shard that have a record."""
        return f"{self._tag(subject)}:n"

    def all_user_names(self) -> list[str]:
        """The users that have a record, of all shards."""
        return [f"{self.prefix}{{s{shard:02x}}}:n" for shard in range(SHARDS)]

    def audit_log(self) -> str:
        """What operators did, and who was refused."""
        return f"{self.prefix}{{audit}}:log"

    def key_record(self, subject: str, key_id: str) -> str:
        """A virtual key's record, in the shard of its user."""
        return f"{self._tag(subject)}:k:{key_id}"

    def key_windows(self, subject: str, key_id: str) -> str:
        """A virtual key's windows."""
        return f"{self._tag(subject)}:q:{key_id}"

    def keys_of(self, subject: str) -> str:
        """The ids of a user's virtual keys."""
        return f"{self._tag(subject)}:o:{subject}"

    def secret(self, digest: str) -> str:
        """Where the record of the key with this SHA-256 is."""
        return f"{self.prefix}key:{digest}"

    def alias(self, alias: str) -> str:
        """Where the record of the key with this alias is."""
        return f"{self.prefix}alias:{alias}"

    def key_list(self) -> str:
        """Where the records of all virtual keys are."""
        return f"{self.prefix}key-list"

    def record(self, subject: str) -> str:
        """A user's record, in the shard of the subject that the user is."""
        return f"{self._tag(subject)}:u:{subject}"
