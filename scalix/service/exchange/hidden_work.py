"""What a model may have generated that nobody has seen, when its client has gone before its usage came.

A model that thinks bills its thoughts, and a stream shows none of them, or few. Time is all that is known of it.
"""

from scalix.domain.policy import Model

UNKNOWN_TOKENS_PER_S = 150.0
# Pauses up to this are those of a model that writes.
LONGEST_PAUSE_S = 1.0
_LEAST_TOKENS, _LEAST_S = 50, 0.25
_SLOWEST_TOKENS_PER_S, _FASTEST_TOKENS_PER_S = 5.0, 1_000.0
_WEIGHT_OF_THE_NEWEST = 0.2


class Speeds:
    """Tokens per second of each model, as its answers have shown them to this process."""

    def __init__(self) -> None:
        self._by_model: dict[str, float] = {}  # the names are the config's

    def learn(self, model: str, completion_tokens: int, seconds: float) -> None:
        """Note an answer that was whole. Short ones say more of the network than of the model."""
        if completion_tokens < _LEAST_TOKENS or seconds < _LEAST_S:
            return
        seen = min(max(completion_tokens / seconds, _SLOWEST_TOKENS_PER_S), _FASTEST_TOKENS_PER_S)
        known = self._by_model.get(model, seen)
        self._by_model[model] = known + _WEIGHT_OF_THE_NEWEST * (seen - known)

    def of(self, model: str) -> float:
        """Tokens per second of `model`."""
        return self._by_model.get(model, UNKNOWN_TOKENS_PER_S)


class Silence:
    """The time in which a model has shown nothing of its answer: before the first of it, and in long pauses. Times in
    seconds, of any one clock."""

    __slots__ = ("_last_s", "_silent_s")

    def __init__(self, asked_s: float) -> None:
        self._last_s = asked_s
        self._silent_s = 0.0

    def heard(self, now_s: float) -> None:
        """Something of the answer has come."""
        pause_s = now_s - self._last_s
        if pause_s > LONGEST_PAUSE_S:
            self._silent_s += pause_s
        self._last_s = now_s

    def seconds(self, now_s: float) -> float:
        """All of it until now."""
        pause_s = now_s - self._last_s
        return self._silent_s + (pause_s if pause_s > LONGEST_PAUSE_S else 0.0)


def may_think(model: Model | None) -> bool:
    """Whether a model may generate what it does not show; unknown ones may."""
    return model is None or model.thinks is not False
