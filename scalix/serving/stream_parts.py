"""Writes a part of a streamed answer at once, where nothing has to be waited for.

By ASGI each part is a message that is awaited. The protocol puts the function into the scope under `EXTENSION`; with
servers that don't, all parts go by ASGI.
"""

from typing import Any

# The edge looks for it under this name.
EXTENSION = "scalix.stream_part"


def send_part(cycle: Any, part: bytes) -> bool:
    """Write `part`, which is not empty, and say whether it was written.

    Nothing is written where uvicorn would have to wait, or would write it in another way. `cycle` is uvicorn's
    `RequestResponseCycle`.
    """
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_complete or not cycle.response_started:
        return False
    if not cycle.chunked_encoding:
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
    return True
