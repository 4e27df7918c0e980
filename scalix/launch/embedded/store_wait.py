"""Waits for the operator's server: asks again and again whether it is there, without holding up the launcher."""

import threading
import time
from collections.abc import Callable

from scalix.store.connection.server_check import ServerFacts, StoreNotYet

LOOK_EVERY_S = 1.0
SAY_EVERY_S = 10.0


class StoreWait:
    """A server that was not there when the gateway started. `ask` asks it once, and raises what `check_server` does;
    `where` is the place that names it, and `say` tells the operator that it is still awaited, every ten seconds."""

    def __init__(
        self,
        ask: Callable[[], ServerFacts],
        where: str,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.where = where
        self._ask = ask
        self._say = say
        self._clock = clock
        self._answers: list[ServerFacts | Exception] = []
        self._is_asking = False
        self._look_at_s = self._say_at_s = clock()

    def first_look(self) -> ServerFacts | None:
        """Ask now. As `step`."""
        self._put_question()
        self._look_at_s = self._clock() + LOOK_EVERY_S
        return self._judge(self._answers.pop())

    def step(self) -> ServerFacts | None:
        """What the server says of itself, once it is there; `None` until then. Never waits; to be called often.

        Raises StoreUnusable: it is there, and can't be our store.
        """
        if self._answers:
            self._is_asking = False
            self._look_at_s = self._clock() + LOOK_EVERY_S
            return self._judge(self._answers.pop())
        if not self._is_asking and self._clock() >= self._look_at_s:
            self._is_asking = True
            threading.Thread(target=self._put_question, name="store-wait", daemon=True).start()
        return None

    def _put_question(self) -> None:
        try:
            self._answers.append(self._ask())
        except Exception as error:
            self._answers.append(error)

    def _judge(self, answer: ServerFacts | Exception) -> ServerFacts | None:
        if isinstance(answer, ServerFacts):
            return answer
        if not isinstance(answer, StoreNotYet):
            raise answer
        if self._clock() >= self._say_at_s:
            self._say_at_s = self._clock() + SAY_EVERY_S
            self._say(f"{answer.what}; not ready until it is there, it is tried every second")
        return None
