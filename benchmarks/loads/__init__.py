"""The loads, by name."""

from benchmarks.loads.base import Load
from benchmarks.loads.burst import BURST
from benchmarks.loads.large_prompt import LARGE_PROMPT
from benchmarks.loads.not_streamed import NOT_STREAMED
from benchmarks.loads.refused import REFUSED

LOADS: dict[str, Load] = {load.name: load for load in (NOT_STREAMED, *REFUSED, BURST, LARGE_PROMPT)}
