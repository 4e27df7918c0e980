"""The time that a model has until the first byte of its answer, where another one could take over."""

import asyncio


class Patience:
    """So many seconds, by `timer`, within which a first byte must come. `None`: it may take as long as it likes."""

    def __init__(self, seconds: float | None) -> None:
        self.timer = asyncio.timeout(seconds)

    @property
    def is_over(self) -> bool:
        """Whether the time was up."""
        return self.timer.expired()

    async def end(self) -> None:
        """The first byte has come: from now on it may take as long as it likes."""
        if self.is_over:
            await asyncio.sleep(0)  # where the cancellation that is on its way comes, before anything is sent
        self.timer.reschedule(None)

    def extend(self, seconds: float | None) -> None:
        """It has so many seconds from now, if its time is limited at all."""
        if seconds is not None and self.timer.when() is not None and not self.is_over:
            self.timer.reschedule(asyncio.get_running_loop().time() + seconds)
