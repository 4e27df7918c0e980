"""The load of answers that are not streamed."""

from benchmarks.loads.base import Entry, Load
from benchmarks.peers.gateway import LIMITED, UNLIMITED

NOT_STREAMED = Load(
    name="not-streamed",
    title="Answers that are not streamed",
    about="A chat completion of some 100 prompt tokens and 20 words of answer.",
    entries=(
        Entry("litellm"),
        Entry("litellm-packages"),
        Entry("litellm-redis"),
        Entry("litellm-redis-routing"),
        Entry("portkey"),
        Entry("vllm-router"),
        Entry("sglang-router"),
        Entry("gateway", "unlimited user", {"user": UNLIMITED}),
        Entry("gateway", "limited user", {"user": LIMITED}),
    ),
    requests=300,
    quick_requests=150,
    directive="[[demo words=20]]",
)
