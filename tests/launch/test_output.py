"""Lines on their way from a child to the log: whole, bounded, without secrets, and never in anyone's way."""

import os
import socket
import threading
from pathlib import Path

import pytest

from scalix.domain.redaction.known_secrets import KnownSecrets
from scalix.launch.problems import LaunchError
from scalix.launch.processes.child import restart_delay_s
from scalix.launch.processes.logfile import RotatingLog
from scalix.launch.processes.output import Output, Sink
from scalix.launch.processes.ports import allow_listen, base_url, describe_owner, reserve_port
from scalix.launch.processes.process import ProcessIdentity, myself
from scalix.launch.processes.pump import LineReader, PipePump


def lines_of(*chunks: bytes, longest: int = 100) -> list[bytes]:
    lines: list[bytes] = []
    reader = LineReader(lines.append, longest)
    for chunk in chunks:
        reader.feed(chunk)
    reader.end()
    return lines


def test_lines_are_put_together_from_pieces() -> None:
    assert lines_of(b"one\ntw", b"o\r\n", b"\nthree") == [b"one", b"two", b"three"]


def test_a_long_line_is_cut_and_its_length_noted() -> None:
    assert lines_of(b"x" * 60, b"x" * 60, b"x\nnext\n") == [b"x" * 100 + b" [21 more bytes]", b"next"]


def test_the_pump_hands_over_everything_before_it_closes() -> None:
    pump, lines = PipePump(), list[bytes]()
    read_fd, write_fd = os.pipe()
    pump.watch(read_fd, lines.append)
    for number in range(1000):
        os.write(write_fd, b"%d\n" % number)
    # The other end is still open, as when a grandchild has it.
    pump.close()
    os.close(write_fd)
    assert lines == [b"%d" % number for number in range(1000)]


def test_the_log_rotates_and_keeps_a_bounded_number_of_files(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "a.log", max_bytes=100, files=3)
    for number in range(50):
        log.write(b"%09d\n" % number)
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.log", "a.log.1", "a.log.2"]
    kept = b"".join((tmp_path / name).read_bytes() for name in reversed(names))
    assert kept == b"".join(b"%09d\n" % number for number in range(20, 50))
    assert all((tmp_path / name).stat().st_size <= 100 for name in names)


def test_secrets_of_every_environment_that_a_process_may_still_have_are_kept_out_of_the_log(tmp_path: Path) -> None:
    output, log = Output(quiet=True, verbose=False), RotatingLog(tmp_path / "a.log")
    output.open_log(log)
    secrets = [f"canary-number-{number}" for number in range(4)]
    for secret in secrets:  # as by reloads that come one after the other, while the first workers still drain
        output.keep_secret({"SMTP_PASS": secret})
    output.say("worker", f"tried {', '.join(secrets)}")
    output.close()
    assert "canary" not in (shown := (tmp_path / "a.log").read_text())
    assert shown.count("[redacted]") == len(secrets)


def test_after_a_rotation_the_log_still_has_one_writer(tmp_path: Path) -> None:
    first = RotatingLog(tmp_path / "a.log", max_bytes=10)
    first.write(b"123456789\n")
    first.write(b"123456789\n")
    second = RotatingLog(tmp_path / "a.log")
    assert second.path.name == "a-2.log"
    first.close()
    second.close()


def test_values_of_secret_variables_are_replaced_and_others_kept() -> None:
    redact = KnownSecrets(
        {
            "OPENAI_API_KEY": "sk-abcdef-123456",
            "REDIS_URL": "redis://me:pass-word@host:6379/0",
            "DB_PASSWORD": "hunter2-hunter2",
            "TOKENIZERS_PARALLELISM": "false",
            "SSH_KEY_FILE": "/home/me/.ssh/id",
            "HOME": "/home/me/somewhere",
        }
    )
    line = b"sk-abcdef-123456 pass-word hunter2-hunter2 false /home/me/.ssh/id /home/me/somewhere"
    assert redact(line) == b"[redacted] [redacted] [redacted] false /home/me/.ssh/id /home/me/somewhere"


@pytest.mark.parametrize(
    ("name", "value", "line", "shown"),
    [
        # A password of one letter is not every such letter.
        ("WEBHOOK_URL", "https://ci:e@example.com/x", b"here we see e alone", b"here we see [redacted] alone"),
        # All of one with an @ in it, as it is and percent-encoded.
        ("REDIS_URL", "redis://me:pa@ss@word@host:6379", b"x pa@ss@word y", b"x [redacted] y"),
        ("REDIS_URL", "redis://me:p%40ss-word@host", b"p%40ss-word and p@ss-word", b"[redacted] and [redacted]"),
        ("DB_URL", "postgres://u:with/slash-it@host/db", b"with/slash-it", b"[redacted]"),
        ("HOOK_URL", "https://example.com:8080/a@b", b"8080/a and a@b", b"8080/a and a@b"),
        ("HOOK_URL", "https://example.com/x?token=abc-123-def&a=b", b"abc-123-def b", b"[redacted] b"),
        ("A_CREDENTIALS", "amqp://u:rabbit-pass@mq", b"rabbit-pass", b"[redacted]"),
        # A short key where it is a word; a plain word never.
        ("A_KEY", "ab12cd", b"ab12cd xab12cdx", b"[redacted] xab12cdx"),
        ("A_KEY", "ollama", b"ollama serves", b"ollama serves"),
    ],
)
def test_secrets_are_found_in_urls_and_short_ones_as_words_only(
    name: str, value: str, line: bytes, shown: bytes
) -> None:
    assert KnownSecrets({name: value})(line) == shown


def test_of_two_secrets_the_longer_one_is_replaced_as_a_whole() -> None:
    redact = KnownSecrets({"A_KEY": "canary-secret", "B_KEY": "canary-secret-and-more"})
    assert redact(b"canary-secret-and-more, canary-secret") == b"[redacted], [redacted]"


def test_a_sink_that_is_held_up_drops_the_oldest_and_says_how_many() -> None:
    gate, busy, written = threading.Event(), threading.Event(), list[bytes]()

    def write(chunk: bytes) -> None:
        busy.set()
        assert gate.wait(10)
        written.append(chunk)

    sink = Sink("test", write, queue_lines=3)
    sink.put(b"0\n")
    assert busy.wait(10)
    for number in range(1, 8):
        sink.put(b"%d\n" % number)
    gate.set()
    sink.close()
    assert b"".join(written) == b"0\n[4 lines lost: written faster than they could be taken]\n5\n6\n7\n"


def test_a_sink_survives_a_full_disk() -> None:
    def write(chunk: bytes) -> None:
        written.append(chunk)
        raise OSError(28, "No space left on device")

    written: list[bytes] = []
    sink = Sink("test", write)
    sink.put(b"1\n")
    sink.close()
    assert written == [b"1\n"]


def test_a_reserved_port_is_nobody_elses_and_refuses_clients_until_somebody_listens() -> None:
    sock = reserve_port("127.0.0.1", 0)
    port = sock.getsockname()[1]
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
    with pytest.raises(LaunchError, match="does not listen yet"):
        reserve_port("127.0.0.1", port)
    allow_listen(sock)
    sock.listen()
    assert f"pid {os.getpid()} (" in describe_owner("127.0.0.1", port)
    with socket.create_connection(("127.0.0.1", port)):
        sock.close()


def test_connections_that_linger_from_a_former_gateway_are_no_obstacle() -> None:
    first = reserve_port("127.0.0.1", 0)
    port = first.getsockname()[1]
    allow_listen(first)
    first.listen()
    with socket.create_connection(("127.0.0.1", port)) as client:
        served, _ = first.accept()
        served.close()  # the server closes first, so its side stays in TIME_WAIT
        assert client.recv(1) == b""
    first.close()
    second = reserve_port("127.0.0.1", port)
    allow_listen(second)
    second.listen()
    second.close()


def test_addresses_are_told_so_that_a_client_here_can_use_them() -> None:
    assert base_url("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert base_url("::", 80) == "http://[::1]:80"
    assert base_url("[::1]", 80) == "http://[::1]:80"
    assert base_url("gw.example", 80) == "http://gw.example:80"


def test_restarts_come_later_and_later_up_to_a_bound() -> None:
    assert [restart_delay_s(deaths) for deaths in (1, 2, 3, 4, 50)] == [0.25, 0.5, 1.0, 2.0, 30.0]


def test_a_process_is_told_apart_from_a_later_one_with_its_pid() -> None:
    assert myself().is_alive()
    stranger = ProcessIdentity(os.getpid(), myself().start_ticks - 1)
    assert not stranger.is_alive()
    assert not stranger.send(0)  # type: ignore[arg-type]


def test_what_a_child_writes_cannot_steer_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output(quiet=False, verbose=False)
    output.from_child("worker 1", b"\x1b[31mred\x1b[0m \x1b]0;title\x07\tend", terminal=True)
    output.close()
    assert capfd.readouterr().out == "worker 1  red ]0;title\tend\n"
