"""Every key name in the store. A subject's keys share its shard's hash tag, so a Redis Cluster keeps them together.

| key                          | type       | holds                                     | lives                       |
|------------------------------|------------|-------------------------------------------|-----------------------------|
| `{sXX}:w:<subject>`          | hash       | windows: see lua/windows.lua              | a month after last month    |
| `{sXX}:f:<subject>`          | hash       | requests in flight: id -> reservation     | 63 days after last admit   |
| `{sXX}:l`                    | sorted set | lease index: "id subject" by end in ms    | 63 days after last admit   |
| `{sXX}:j:<subject>`          | hash       | adjustments: window -> what no event explains | as the windows          |
| `{sXX}:e:<subject>:<day>`    | hash       | events of a day: see lua/ledger.lua       | `events_days` after the day |
| `{sXX}:s:<subject>:<month>`  | hash       | the user's sums by day: the same          | `days_days` after the month |
| `{sXX}:a:<day>`              | hash       | everybody's sums by hour: the same        | `hours_days` after the day  |
| `{sXX}:A:<month>`            | hash       | everybody's sums by day: the same         | `days_days` after the month |
| `{sXX}:rt:<day>`, `{sXX}:rc:<day>` | sorted set | subjects by tokens, by cost         | `hours_days` after the day  |
| `{sXX}:p`                    | hash       | who was there, and how many: lua/people.lua | 400 days after the last   |
| `{sXX}:t:<day>`              | hash       | first bytes, rescued: see lua/ledger.lua  | `hours_days` after the day  |
| `day-figures`                | hash       | days that are over: see redis_figures.py  | `days_days`, renewed        |
| `day-figures-turn`           | string     | whose turn it is to add days up           | ten minutes                 |
| `{sXX}:ei:<day>`             | sorted set | "id subject" of the shard's events by time | `events_days` after the day |
| `{sXX}:et:<subject>:<day>`   | sorted set | ids of a subject's events by time, of many | the same                    |
| `in-time-turn`               | string     | whose turn it is to list events of before | 50 minutes                  |
| `in-time-looks`              | hash       | day -> events that were not listed        | `IN_TIME_LIFETIME_MS`       |
| `{sXX}:b:<subject>`          | hash       | prepaid balance: nano, held (nano-dollars) | until deleted              |
| `{sXX}:c:<subject>`          | hash       | credits: id -> "nano-dollars at_ms"       | until deleted               |
| `pseudonym-key`              | string     | random bytes, in hex: see pseudonyms.py   | for good                    |
| `{sXX}:z:<pseudonym>`        | string     | when the subject was erased, in ms        | `ERASED_LIFETIME_MS`        |
| `{sXX}:w:<pseudonym>`        | hash       | windows of an erased user                 | until the month ends        |
| `{sXX}:x:<request id>`       | string     | tombstone of a released request           | `TOMBSTONE_LIFETIME_MS`     |
| `{sXX}:u:<subject>`          | hash       | the user's record                         | until deleted               |
| `{sXX}:h`                    | hash       | shadow counts: "day limit tier" -> number | `SHADOW_DAYS` after the last |
| `epoch`                      | string     | a random text, lost with all the rest     | `EPOCH_LIFETIME_MS`, renewed |
| `{sXX}:m:<subject>`          | string     | there when an address was merged into it  | `MERGED_LIFETIME_MS`        |
| `{sXX}:p:<pseudonym>`        | hash       | turns of self-service: lua/take_turn.lua  | an hour after the first     |
| `{sXX}:n`                    | sorted set | names of the users that have a record     | until they are deleted      |
| `{sXX}:k:<key id>`           | hash       | a virtual key's record: lua/put_record.lua | until deleted             |
| `{sXX}:q:<key id>`           | hash       | its windows: see lua/windows.lua          | as long as its record       |
| `{sXX}:o:<subject>`          | set        | ids of a user's virtual keys              | until they are deleted      |
| `key:<SHA-256 of a secret>`  | string     | "key id, user": where the record is       | as the record; grace        |
| `alias:<alias>`              | string     | the same                                  | as the record               |
| `key-list`                   | sorted set | "key id, user" of all keys by their making | until they are deleted     |
| `{cooldowns}:until`          | hash       | models in cooldown: lua/cool.lua          | until the last one's end    |
| `{cooldowns}:failures`       | hash       | models' failures: lua/count_failure.lua   | `within_s` after the last   |
| `checks`                     | hash       | health checks: lua/take_checks.lua        | ten intervals, an hour      |
| `loads`                      | hash       | what workers have in flight: lua/loads.lua | 3 s after the last          |
| `instances`                  | hash       | gateways and their config: lua/instances.lua | a minute after the last  |
| `{deployments}:sums:<day>`   | hash       | what deployments did: lua/add_figures.lua | `days_days` after its first |
| `{deployments}:batch:<worker>` | string   | the last batch of figures that was added  | `FIGURES_BATCH_LIFETIME_MS` |
| `{audit}:log`                | stream     | the audit log: see lua/audit.lua          | trimmed by age              |
| `{sXX}:y:<subject>`          | hash       | what the audit log says for their names   | as the newest entry         |
| `pseudonym:<pseudonym>`      | string     | the text that it stands for               | as the newest entry         |
| `billing:<pseudonym>`        | hash       | charges of an erased user: day -> nano-dollars | `days_days`            |
| `archive-lock`               | string     | whose turn it is to write days to files   | ten minutes, renewed        |
| `archived`                   | hash       | days in files: "day host" -> "events at_ms" | as the oldest file may    |
| `wildcard-names:<day>`       | set        | names that sums have: lua/list_name.lua   | two days                    |
| `retention-run`              | string     | last day of a removal: lua/claim_day.lua  | `RETENTION_RUN_LIFETIME_MS` |
| `backup-lock`                | string     | whose turn it is to make a backup         | ten minutes, renewed        |
| `backups`                    | hash       | the last backup: its time, name, size     | until deleted               |
| `sign-in-key`                | string     | signs the cookies of pages, in hex        | for good                    |
| `sign-in:<SHA-256>`          | string     | who is signed in to the pages, as JSON    | until it ends: 12 hours     |
| `sign-in-code:<SHA-256>`     | string     | a one-time code, as JSON                  | five minutes                |
| `{sXX}:g:<subject>`          | set        | a subject's sign-ins and codes: kind:SHA-256 | a day after the last      |
| `erasures`                   | hash       | for backups: pseudonym -> erased at_ms    | `ERASURES_LIFETIME_MS`      |

Windows, requests in flight, adjustments and books end `CLOCK_GRACE_MS` later than is said here; the daily removal takes
windows and books out in time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from scalix.domain.identity.subjects import SHARDS, shard_of
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.limits import Window

DEFAULT_KEY_PREFIX = "scalix:"
TOMBSTONE_LIFETIME_MS = 10 * 60_000
CLOCK_GRACE_MS = 400 * DAY_MS
"""How long the end of a key comes after the time for which it is kept: see lua/windows.lua."""
EPOCH_LIFETIME_MS = CLOCK_GRACE_MS
PEOPLE_TTL_MS = 400 * DAY_MS + CLOCK_GRACE_MS
IN_TIME_LIFETIME_MS = 400 * DAY_MS
RETENTION_RUN_LIFETIME_MS = 3_660 * DAY_MS
MERGED_LIFETIME_MS = 400 * DAY_MS
ERASED_LIFETIME_MS = 63 * DAY_MS
FIGURES_BATCH_LIFETIME_MS = 2 * DAY_MS
WILDCARD_NAMES_LIFETIME_MS = 2 * DAY_MS
ERASURES_LIFETIME_MS = 3_660 * DAY_MS


def _alone(name: str) -> "Callable[[Keys], str]":
    """The one key of this name."""
    return lambda keys: f"{keys.prefix}{name}"


def _named(kind: str) -> "Callable[[Keys, str | int], str]":
    """A key of this kind for each name."""
    return lambda keys, name: f"{keys.prefix}{kind}:{name}"


def _of_shard(kind: str) -> "Callable[[Keys, str], str]":
    """The key of this kind of a subject's shard."""
    return lambda keys, subject: f"{_tag(keys.prefix, subject)}:{kind}"


def _of_all_shards(kind: str) -> "Callable[[Keys], list[str]]":
    """The keys of this kind of all shards, in their order."""
    return lambda keys: list(_in_all_shards(keys.prefix, kind))


@lru_cache(maxsize=32)
def _in_all_shards(prefix: str, kind: str) -> tuple[str, ...]:
    """Kept, since who goes through the shards asks for the key of each."""
    return tuple(f"{prefix}{{s{shard:02x}}}:{kind}" for shard in range(SHARDS))


def _of_subject(kind: str) -> "Callable[[Keys, str], str]":
    """The key of this kind of a subject."""
    return lambda keys, subject: f"{_tag(keys.prefix, subject)}:{kind}:{subject}"


def _beside_subject(kind: str) -> "Callable[[Keys, str, str], str]":
    """A key of this kind for something else, in a subject's shard."""
    return lambda keys, subject, name: f"{_tag(keys.prefix, subject)}:{kind}:{name}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Builds key names under one prefix, such as `scalix:`."""

    prefix: str

    def __post_init__(self) -> None:
        if "{" in self.prefix or "}" in self.prefix:
            # The first pair of braces in a key is its hash tag, and that has to be the shard's.
            raise ValueError("a key prefix must not hold { or }")

    windows = _of_subject("w")  # a subject's windows
    in_flight = _of_subject("f")  # a subject's requests in flight
    adjustments = _of_subject("j")  # what was added to a subject's windows without a request
    balance = _of_subject("b")  # a subject's prepaid balance
    credits = _of_subject("c")  # what was added to it
    merged = _of_subject("m")  # there when an address's use has been merged into the subject's
    keys_of = _of_subject("o")  # the ids of a user's virtual keys
    sign_ins_of = _of_subject("g")  # the digests of a subject's sign-ins and one-time codes
    record = _of_subject("u")  # a user's record, in the shard of the subject that the user is
    names = _of_subject("y")  # what the audit log says in place of the subject's names
    erased = _beside_subject("z")  # when the subject was erased
    pseudonyms_windows = _beside_subject("w")  # the windows of a subject who was erased
    turns = _beside_subject("p")  # what a user has done of late with what is the user's
    tombstone = _beside_subject("x")  # there when a request was released before it was admitted
    key_record = _beside_subject("k")  # a virtual key's record, in the shard of its user
    key_windows = _beside_subject("q")  # a virtual key's windows
    leases = _of_shard("l")  # the lease index of the subject's shard
    all_leases = _of_all_shards("l")
    shadow = _of_shard("h")  # what limits that are not enforced would have refused, of the subject's shard
    all_shadows = _of_all_shards("h")
    people = _of_shard("p")  # who was there on which day, of the subject's shard
    all_people = _of_all_shards("p")
    user_names = _of_shard("n")  # the users of the subject's shard that have a record
    all_user_names = _of_all_shards("n")
    sign_in = _named("sign-in")  # who is signed in by the cookie with this SHA-256
    sign_in_code = _named("sign-in-code")  # whose one-time code has this SHA-256
    secret = _named("key")  # where the record of the key with this SHA-256 is
    alias = _named("alias")  # where the record of the key with this alias is
    name_behind = _named("pseudonym")  # what a pseudonym of the audit log stands for
    kept_billing = _named("billing")  # charges of a user who was erased, under a name that leads nowhere
    wildcard_names = _named("wildcard-names")  # the names served by wildcards that the sums of a day have as they are
    pseudonym_key = _alone("pseudonym-key")  # the key of all pseudonyms
    sign_in_key = _alone("sign-in-key")  # signs the cookies of the pages
    epoch = _alone("epoch")  # by which a store that was emptied is known
    cooldowns = _alone("{cooldowns}:until")  # the models in cooldown
    failures = _alone("{cooldowns}:failures")  # the failures of models that may come to a cooldown
    checks = _alone("checks")  # health checks of deployments
    loads = _alone("loads")  # what each worker has to do
    deployment_sums = _named("{deployments}:sums")  # what deployments did on a day
    figures_batch = _named("{deployments}:batch")  # the last batch of such figures that a worker has told
    audit_log = _alone("{audit}:log")  # what operators did, and who was refused
    key_list = _alone("key-list")  # where the records of all virtual keys are
    archive_lock = _alone("archive-lock")  # held by the process that writes days of the ledger to files
    archived = _alone("archived")  # the days whose events are in files
    in_time_turn = _alone("in-time-turn")  # held by the process that lists by time what gateways of before have written
    in_time_looks = _alone("in-time-looks")  # how many events of each day were not listed
    retention_run = _alone("retention-run")  # the day for which what is too old has been removed
    instances = _alone("instances")  # the gateways that share the store
    backup_lock = _alone("backup-lock")  # held by the process that makes a backup
    backups = _alone("backups")  # the last backup
    day_figures = _alone("day-figures")  # what is known of days that are over
    day_figures_turn = _alone("day-figures-turn")  # held by the process that adds days up
    erasures = _alone("erasures")  # who was erased, as backups may still hold them

    def events(self, subject: str, admitted_ms: int) -> str:
        """A subject's events of the day (index since 1970) that `admitted_ms` lies in."""
        return f"{_tag(self.prefix, subject)}:e:{subject}:{window_index(Window.DAY, admitted_ms)}"

    def in_time(self, shard: int, day: int) -> str:
        """The events of one shard and day, in the order of their admission."""
        return f"{self.prefix}{{s{shard:02x}}}:ei:{day}"

    def events_in_time(self, subject: str, day: int) -> str:
        """A subject's events of a day in that order, where they are many."""
        return f"{_tag(self.prefix, subject)}:et:{subject}:{day}"

    def summaries(self, subject: str, month: int) -> str:
        """A subject's sums of a month (`year * 12 + month - 1`) by day."""
        return f"{_tag(self.prefix, subject)}:s:{subject}:{month}"

    def hour_sums(self, shard: int, day: int) -> str:
        """Everybody's sums of a day by hour, of one shard."""
        return f"{self.prefix}{{s{shard:02x}}}:a:{day}"

    def day_sums(self, shard: int, month: int) -> str:
        """Everybody's sums of a month by day, of one shard."""
        return f"{self.prefix}{{s{shard:02x}}}:A:{month}"

    def ranking(self, shard: int, day: int, by: str) -> str:
        """The subjects of one shard by their use on a day: `tokens` or `cost`."""
        return f"{self.prefix}{{s{shard:02x}}}:r{by[0]}:{day}"

    def first_bytes(self, shard: int, day: int) -> str:
        """How long everybody of one shard has waited for first bytes on a day, and how many were rescued."""
        return f"{self.prefix}{{s{shard:02x}}}:t:{day}"

    def books(self, subject: str, admitted_ms: int) -> list[str]:
        """The ten keys of the ledger for what was admitted then, as lua/ledger.lua names them."""
        tag, day = _tag(self.prefix, subject), window_index(Window.DAY, admitted_ms)
        month = window_index(Window.MONTH, admitted_ms)
        return [
            f"{tag}:e:{subject}:{day}",
            f"{tag}:s:{subject}:{month}",
            f"{tag}:a:{day}",
            f"{tag}:A:{month}",
            f"{tag}:rt:{day}",
            f"{tag}:rc:{day}",
            f"{tag}:p",
            f"{tag}:t:{day}",
            f"{tag}:ei:{day}",
            f"{tag}:et:{subject}:{day}",
        ]


@lru_cache(maxsize=4_096)
def _tag(prefix: str, subject: str) -> str:
    return f"{prefix}{{s{shard_of(subject):02x}}}"
