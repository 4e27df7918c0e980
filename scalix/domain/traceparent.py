"""Where a request stands in a trace, as W3C's Trace Context writes it: `traceparent` and `tracestate`."""

from dataclasses import dataclass

import re2

MOST_STATE_LETTERS, _MOST_MEMBERS = 512, 32
_SAMPLED = 1
# A version after 00 may have more behind the flags.
_PARENT = re2.compile("([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY = "[a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13}"
_MEMBER = re2.compile(rf"(?:{_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


@dataclass(frozen=True, slots=True)
class Place:
    """One span of a trace. `sampled`: whoever made it records it. `state` is what systems on the way keep there."""

    trace_id: int
    span_id: int
    sampled: bool
    state: str = ""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers by which whoever is asked goes on with the trace."""
        parent = ("traceparent", f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.sampled):02x}")
        return (parent, ("tracestate", self.state)) if self.state else (parent,)


def place_of(traceparent: str, tracestate: str = "") -> Place | None:
    """What the headers say; `None` where `traceparent` is not as it has to be. A wrong `tracestate` is left out."""
    found = _PARENT.fullmatch(traceparent.strip()) if len(traceparent) <= MOST_STATE_LETTERS else None
    if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
        return None
    trace_id, span_id = int(found[2], 16), int(found[3], 16)
    if not trace_id or not span_id:
        return None
    return Place(trace_id, span_id, bool(int(found[4], 16) & _SAMPLED), _sound_state(tracestate))


def _sound_state(text: str) -> str:
    members = (
        [member.strip() for member in text.split(",") if member.strip()] if len(text) <= MOST_STATE_LETTERS else []
    )
    names = {member.partition("=")[0] for member in members}
    if len(members) > _MOST_MEMBERS or len(names) < len(members):
        return ""
    return ",".join(members) if all(_MEMBER.fullmatch(member) for member in members) else ""
