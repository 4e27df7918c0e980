"""The commands that a client sends, counted where they go out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch


class Sent(NamedTuple):
    """A command, how many keys it names, and its answer."""

    name: str
    keys: int
    answer: Any


@contextmanager
def commands_of(client: Any) -> Iterator[list[Sent]]:
    """Those that are answered meanwhile. A script is one, also where its server is to be sent its text first."""
    sent = list[Sent]()
    execute = client.execute_command

    async def noted(*words: Any, **options: Any) -> Any:
        answer = await execute(*words, **options)  # raises for a script that the server does not have yet
        is_script = words[0] in ("EVALSHA", "EVAL")
        sent.append(Sent("EVALSHA" if is_script else words[0], words[2] if is_script else 1, answer))
        return answer

    with patch.object(client, "execute_command", noted):
        yield sent
