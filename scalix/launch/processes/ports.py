"""The listening socket: the launcher binds it before anything slow, and the workers listen on it."""

import errno
import ipaddress
import socket

from scalix.domain.pages import PageSettings
from scalix.launch.problems import LaunchError, Problem

UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_USUAL_HOSTS = "use 127.0.0.1 for this machine only, or 0.0.0.0 for all of its addresses"


def reserve_port(host: str, port: int) -> socket.socket:
    """A TCP socket bound to `host` and `port` (0: the kernel picks one), inheritable and not yet listening.

    Until a worker listens, clients are refused rather than left hanging. SO_REUSEADDR lets the bind pass over
    connections of a former gateway that linger in TIME_WAIT; it is taken back after the bind, since Linux would
    otherwise let a second process bind the same port as long as nobody listens. `allow_listen` sets it again.

    Raises LaunchError when the port can't be bound, and names the program that has it.
    """
    family, address = _resolve(host, port)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        sock.close()
        raise LaunchError((_bind_problem(host, port, error),)) from None
    sock.set_inheritable(True)
    return sock


def beside(sock: socket.socket, port: int) -> socket.socket:
    """A socket for another port of the same address, which each worker has for itself. Raises `OSError`."""
    other = socket.socket(sock.family, socket.SOCK_STREAM)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        other.setsockopt(socket.SOL_SOCKET, option, 1)
    host, _, *rest = sock.getsockname()
    other.bind((host, port, *rest))
    return other


def allow_listen(sock: socket.socket) -> None:
    """Prepare a reserved socket for `listen`, which would fail while old connections are in TIME_WAIT."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def check_ui_port(ui: PageSettings, host: str) -> None:
    """See that the port of the operator's pages can be had, if they have one of their own. Raises `LaunchError`."""
    if not ui.own_port:
        return
    try:
        reserve_port(host, ui.own_port).close()
    except LaunchError as error:
        fix = "choose another port for scalix.ui.port, or stop that program"
        raise LaunchError(tuple(Problem("scalix.ui.port", one.what, fix) for one in error.problems)) from None


def port_taken(host: str, port: int) -> Problem:
    """The problem of a port that another program has."""
    what = f"port {port} on {host} is already in use by {describe_owner(host, port)}"
    return Problem("LITELLM_PORT", what, "stop that program, or choose another port with --port")


def describe_owner(host: str, port: int) -> str:
    """The program that listens on `port`, such as `pid 123 (nginx)`, or in words that it can't be seen."""
    import psutil  # 30 ms, wanted only here

    try:
        owners = [
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and _overlap(host, connection.laddr.ip)
        ]
    except (psutil.Error, OSError):
        return "another program"
    pids = sorted(pid for pid in owners if pid is not None)
    if not owners:
        return "a program that has reserved it and does not listen yet"
    if not pids:
        return "a program of another user (run as root to see which)"
    pid = _launcher_of(pids[0])
    return f"pid {pid} ({_program(pid)})"


def _launcher_of(pid: int) -> int:
    """The launcher of a gateway that `pid` is a worker of: they share one socket, and not all of them can be seen to
    have it. Any other program is its own."""
    import psutil

    try:
        for process in psutil.Process(pid).parents():
            if not process.name().startswith(("python", "scalix")) or "scalix" not in " ".join(process.cmdline()):
                break
            pid = process.pid
    except psutil.Error:
        pass
    return pid


def _program(pid: int) -> str:
    import psutil

    try:
        process = psutil.Process(pid)
        name: str = process.name()
        if name.startswith("python"):
            scripts = [argument for argument in process.cmdline()[1:] if not argument.startswith("-")]
            return f"{name} {scripts[0].rsplit('/', 1)[-1]}" if scripts else name
        return name
    except psutil.Error:
        return "program not visible"


def _overlap(host: str, other: str) -> bool:
    """Whether two bound addresses may collide. A host name may collide with every address."""
    if host in UNSPECIFIED or other in UNSPECIFIED:
        return True
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(other)
    except ValueError:
        return True


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        what = f"no address is known for host {host!r}"
        raise LaunchError((Problem("LITELLM_HOST", what, _USUAL_HOSTS),)) from None
    # A name such as localhost has both kinds; most clients try IPv4 when only one of them answers.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _bind_problem(host: str, port: int, error: OSError) -> Problem:
    if error.errno == errno.EADDRINUSE:
        return port_taken(host, port)
    if error.errno == errno.EACCES:
        what = f"port {port} needs more rights than this user has"
        return Problem("LITELLM_PORT", what, "choose a --port from 1024 upwards")
    if error.errno == errno.EADDRNOTAVAIL:
        return Problem("LITELLM_HOST", f"{host} is not an address of this machine", _USUAL_HOSTS)
    what = f"can't bind {host} port {port}: {error.strerror}"
    return Problem("LITELLM_HOST", what, "choose another --host or --port")


def base_url(host: str, port: int, *, tls: bool = False) -> str:
    """Where a client on this machine finds the gateway, such as `http://127.0.0.1:4000`; for 0.0.0.0 and :: at the
    loopback address."""
    bare = host.removeprefix("[").removesuffix("]")
    bare = UNSPECIFIED.get(bare, bare)
    return f"{'https' if tls else 'http'}://{f'[{bare}]' if ':' in bare else bare}:{port}"
