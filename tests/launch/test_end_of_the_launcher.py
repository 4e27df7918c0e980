"""The launcher ends when all is closed, whatever the machine's name server does."""

from pathlib import Path

from tests.launch.running import Place, eventually
from tests.store.servers import Server, free_ports

# What a resolver does that does not answer, for the launcher's look at other gateways alone.
_HANGING = """
import socket, threading, time
looked_up = socket.getaddrinfo
def getaddrinfo(*arguments, **options):
    if threading.current_thread().name.startswith("asyncio_"):
        open({mark!r}, "w").close()
        time.sleep(60)
    return looked_up(*arguments, **options)
socket.getaddrinfo = getaddrinfo
"""


def test_a_resolver_that_hangs_does_not_hold_up_the_end(place: Place, tmp_path: Path) -> None:
    mark: Path = place.folder / "hangs"
    (place.folder / "sitecustomize.py").write_text(_HANGING.format(mark=str(mark)), encoding="utf-8")
    server = Server(tmp_path / "server", free_ports(1)[0]).start()
    try:
        url = server.url.replace("127.0.0.1", "localhost")
        gateway = place.start(extra={"REDIS_URL": url, "PYTHONPATH": str(place.folder)})
        eventually(mark.exists, "the launcher looks the store's name up")
        gateway.process.terminate()
        assert gateway.process.wait(20) == 0
    finally:
        server.close()
