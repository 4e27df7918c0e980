"""What a model may have generated that nobody has seen, when its client has gone before its usage came.

A model that thinks bills its thoughts, and a stream shows none of them, or few. Time is all that is known of it.
"""

from scalix.domain.tokens.usage import Usage

UNKNOWN_TOKENS_PER_S = 150.0
MOST_MODELS = 1_000
# Pauses up to this are those of a model that writes.
LONGEST_PAUSE_S = 1.0
_LEAST_TOKENS, _LEAST_S = 50, 0.25
# Of an answer that was held up longer than this part of its time, nobody knows how long it took.
_MOST_HELD_UP = 0.1
_SLOWEST_TOKENS_PER_S, FASTEST_TOKENS_PER_S = 5.0, 1_000.0
_WEIGHT_OF_THE_NEWEST = 0.2


class Speeds:
    """Tokens per second of each model, as its answers have shown them to this process, and which ones think."""

    def __init__(self) -> None:
        self._by_model: dict[str, float] = {}
        self._thinking: set[str] = set()

    def learn(self, model: str, usage: Usage, seconds: float, held_up_s: float = 0.0) -> None:
        """Note an answer that was whole. Short ones say more of the network than of the model. For `held_up_s` of its
        time the client did not read, who could make any model look slow."""
        if model not in self._by_model and max(len(self._by_model), len(self._thinking)) >= MOST_MODELS:
            return  # names of a wildcard, which clients make up
        if usage.reasoning_tokens:
            self._thinking.add(model)
        if usage.completion_tokens < _LEAST_TOKENS or seconds < _LEAST_S or held_up_s > _MOST_HELD_UP * seconds:
            return
        seen = min(max(usage.completion_tokens / seconds, _SLOWEST_TOKENS_PER_S), FASTEST_TOKENS_PER_S)
        known = self._by_model.get(model, seen)
        self._by_model[model] = known + _WEIGHT_OF_THE_NEWEST * (seen - known)

    def of(self, model: str) -> float:
        """Tokens per second of `model`."""
        return self._by_model.get(model, UNKNOWN_TOKENS_PER_S)

    def thinks(self, model: str) -> bool:
        """Whether an answer of `model` has stated thoughts."""
        return model in self._thinking


class Silence:
    """The time in which a model has shown nothing of its answer: before the first of it, and in pauses. Times in
    seconds, of any one clock."""

    __slots__ = ("_first_s", "_has_answered", "_last_s", "_pauses_s", "_thinks")

    def __init__(self, asked_s: float) -> None:
        self._last_s = asked_s
        self._first_s = 0.0  # before the first of the answer
        self._pauses_s = 0.0  # in later pauses that are none of a model that writes
        self._has_answered = self._thinks = False

    def thought(self) -> None:
        """A thought has come, or the summary of one, which is shorter."""
        self._thinks = True

    def heard(self, now_s: float) -> None:
        """Something of the answer has come."""
        if self._has_answered:
            self._pauses_s += self._pause_s(now_s)
        else:
            self._first_s = now_s - self._last_s
        self._last_s = now_s
        self._has_answered, self._thinks = True, False

    def seconds(self, now_s: float, *, thinks: bool | None) -> float:
        """All of it until now, in which a model can have thought that does (`None`: nobody knows whether)."""
        if thinks is False:
            return 0.0
        pause_s = self._pause_s(now_s) if self._has_answered else now_s - self._last_s
        first_s = self._first_s if self._has_answered else pause_s
        # A network and a queue take their time too.
        counted_s = first_s if thinks or first_s > LONGEST_PAUSE_S else 0.0
        return counted_s + self._pauses_s + (pause_s if self._has_answered else 0.0)

    def _pause_s(self, now_s: float) -> float:
        pause_s = now_s - self._last_s
        return pause_s if self._thinks or pause_s > LONGEST_PAUSE_S else 0.0
