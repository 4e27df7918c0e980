"""The load of streams whose provider sends everything at once."""

from benchmarks.loads.base import Entry, Load
from benchmarks.peers.gateway import LIMITED, UNLIMITED

BURST = Load(
    name="burst",
    title="Burst streams of 200 chunks",
    about="A streamed chat completion; the provider writes all of its 200 chunks at once.",
    entries=(
        Entry("litellm"),
        Entry("litellm-packages"),
        Entry("vllm-router"),
        Entry("sglang-router"),
        Entry("gateway", "unlimited user", {"user": UNLIMITED}),
        Entry("gateway", "limited user", {"user": LIMITED}),
    ),
    requests=48,
    quick_requests=24,
    directive="[[demo words=200 burst=1]]",
    streamed=True,
)
