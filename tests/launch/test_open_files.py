"""A gateway takes as many file descriptors as it may have, and a worker without any goes on when some are free."""

import resource
import socket
from contextlib import ExitStack

import psutil

from tests.launch.running import Place


def test_a_gateway_raises_what_its_shell_allows_up_to_what_the_system_does(place: Place) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (900, hard))
    try:
        gateway = place.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    worker = psutil.Process(gateway.run_file.workers[0].process.pid)
    assert worker.rlimit(psutil.RLIMIT_NOFILE)[0] == min(hard, 65_536)


def test_a_worker_without_a_descriptor_left_says_so_and_goes_on_when_some_are_free(place: Place) -> None:
    gateway = place.start()
    worker = psutil.Process(gateway.run_file.workers[0].process.pid)
    worker.rlimit(psutil.RLIMIT_NOFILE, (worker.num_fds() + 3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with ExitStack() as stack:
        for _ in range(30):
            last = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=5))
        assert last.recv(1) == b""  # closed at once, and not left to wait
        gateway.log_has("no file descriptor is left")
    gateway.log_has("file descriptors are free again")
    assert gateway.get("/") == (200, str(worker.pid))
