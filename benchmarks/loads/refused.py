"""The loads of refused requests, each with the nearest answer of LiteLLM."""

from benchmarks.loads.base import Entry, Load
from benchmarks.peers.gateway import EXHAUSTED, WITHOUT_MODEL

_REQUESTS, _QUICK = 4_000, 1_500
# LiteLLM is some hundred times slower at it.
_STOCK_SHARE = 0.06
_ANY_REFUSAL: frozenset[int] = frozenset()
_WRONG_KEY = {"authorization": "Bearer sk-wrong-0123456789abcdef"}

REFUSED = (
    Load(
        name="refused-429",
        title="Refused: limit used up (429)",
        about="LiteLLM's side raises an HTTPException of status 429 in a pre-call hook.",
        entries=(
            Entry("litellm-refusing", statuses=frozenset({429}), share=_STOCK_SHARE),
            Entry("gateway", body={"user": EXHAUSTED}, statuses=frozenset({429})),
        ),
        requests=_REQUESTS,
        quick_requests=_QUICK,
        baseline="litellm-refusing",
    ),
    Load(
        name="refused-401",
        title="Refused: wrong key (401)",
        about="LiteLLM without a database answers 400 to an unknown key.",
        entries=(
            Entry("litellm-packages", headers=_WRONG_KEY, statuses=_ANY_REFUSAL, share=_STOCK_SHARE),
            Entry("gateway", headers=_WRONG_KEY, statuses=frozenset({401})),
        ),
        requests=_REQUESTS,
        quick_requests=_QUICK,
    ),
    Load(
        name="refused-403",
        title="Refused: model not in the tier (403)",
        about="LiteLLM's side raises in a pre-call hook, as for 429: it has no tiers.",
        entries=(
            Entry("litellm-refusing", statuses=frozenset({429}), share=_STOCK_SHARE),
            Entry("gateway", body={"user": WITHOUT_MODEL}, statuses=frozenset({403})),
        ),
        requests=_REQUESTS,
        quick_requests=_QUICK,
        baseline="litellm-refusing",
    ),
    Load(
        name="refused-404-model",
        title="Refused: no such model (404)",
        about="LiteLLM answers 400 to an unknown model.",
        entries=(
            Entry("litellm-packages", body={"model": "no-such-model"}, statuses=_ANY_REFUSAL, share=_STOCK_SHARE),
            Entry("gateway", body={"model": "no-such-model"}, statuses=frozenset({404})),
        ),
        requests=_REQUESTS,
        quick_requests=_QUICK,
    ),
    Load(
        name="refused-404-route",
        title="Refused: no such route (404)",
        about="A path that neither has.",
        entries=(
            Entry("litellm-packages", path="/v1/no/such/route", statuses=_ANY_REFUSAL, share=_STOCK_SHARE),
            Entry("gateway", path="/v1/no/such/route", statuses=frozenset({404})),
        ),
        requests=_REQUESTS,
        quick_requests=_QUICK,
    ),
)
