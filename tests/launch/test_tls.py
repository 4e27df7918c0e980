"""A gateway that speaks TLS: its address, its certificate and how that is renewed, and what is wrong with files."""

import http.client
import json
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scalix.launch.processes.certificate import Certificate
from scalix.launch.processes.file_watch import LOOK_EVERY_S
from scalix.launch.settings.tls import TlsSettings
from tests.authority import Authority
from tests.launch.doctor_rig import Practice
from tests.launch.running import Gateway, Place, eventually
from tests.launch.test_reload import APP


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def variables(files: tuple[Path, Path]) -> dict[str, str]:
    return {"SCALIX_TLS_CERTIFICATE": str(files[0]), "SCALIX_TLS_PRIVATE_KEY": str(files[1])}


def served(gateway: Gateway, context: ssl.SSLContext) -> tuple[str, str, ssl.SSLSocket]:
    """The serial number of the certificate, the version of TLS, and the connection."""
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    secure = context.wrap_socket(plain, server_hostname="localhost")
    facts = secure.getpeercert()
    assert facts
    return str(facts["serialNumber"]), str(secure.version()), secure


def serial(files: tuple[Path, Path]) -> str:
    return str(ssl._ssl._test_decode_cert(str(files[0]))["serialNumber"])  # type: ignore[attr-defined]


def ask(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"GET /slow HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    answer = b""
    while part := connection.recv(4096):
        answer += part
    return answer


def test_a_gateway_with_a_certificate_speaks_tls_1_3_and_its_commands_reach_it(
    place: Place, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = authority.issue(place.folder, ("gateway.example.com",))
    # With an app whose worker says in every answer by which config it goes.
    place.extra.update(APP, SCALIX_ENV="staging", LITELLM_MASTER_KEY="sk-" + "7c1e" * 12, SCALIX_DRAIN_S="0")
    gateway = place.start("--workers", "2", "--certificate", str(files[0]), "--private-key", str(files[1]))
    status = gateway.status()
    assert status["state"] == "ready"
    assert status["address"] == f"https://127.0.0.1:{gateway.port}"
    assert "certificate for gateway.example.com, until " in status["certificate"]
    ready = Practice(place, monkeypatch).examine("--offline").the("gateway", "is ready")
    assert ready["where"] == status["address"]
    context = authority.trusted()
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    number, version, connection = served(gateway, context)
    with connection:
        assert (number, version) == (serial(files), "TLSv1.3")
        assert connection.selected_alpn_protocol() == "http/1.1"
        answer = ask(connection)
        assert b"\r\nstrict-transport-security: max-age=31536000\r\n" in answer
        assert b"\r\nx-scalix-config: %s\r\n" % status["config"].encode() in answer
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        served(gateway, context)
    # What the terminal shows can be pasted.
    command = next(line for line in place.terminal().splitlines() if "curl -i" in line).partition("curl")[2]
    assert f" --resolve gateway.example.com:{gateway.port}:127.0.0.1 " in command
    pasted = "curl -s " + command.partition(" -H ")[0]
    shell = subprocess.run(["sh", "-c", pasted], capture_output=True, text=True, timeout=20)
    assert shell.stdout.startswith("HTTP/1.1 200"), shell.stderr
    # No key, with or without a password, is written anywhere.
    secret = files[1].read_text().splitlines()[1]
    assert not [path for path in place.state_dir.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert place.run("--stop").returncode == 0


def test_older_clients_are_served_by_tls_1_2_where_that_is_set(place: Place, authority: Authority) -> None:
    files = authority.issue(place.folder, password="between us")
    extra = {"SCALIX_TLS_MIN_VERSION": "1.2", "SCALIX_TLS_PRIVATE_KEY_PASSWORD": "between us"}
    gateway = place.start(extra=variables(files) | extra)
    context = authority.trusted()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    _, version, connection = served(gateway, context)
    with connection:
        assert version == "TLSv1.2"
        assert b"200 OK" in (answer := ask(connection))
    # On a developer's machine a browser would keep to https for all that runs there.
    assert b"strict-transport-security" not in answer
    (worker,) = (child for child in gateway.children() if "worker" in child.cmdline()[2])
    assert "SCALIX_TLS_PRIVATE_KEY_PASSWORD" not in worker.environ()


def test_plain_http_is_told_that_the_port_speaks_tls(place: Place, authority: Authority) -> None:
    gateway = place.start(extra=variables(authority.issue(place.folder)))
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.request("POST", "/v1/chat/completions", b"x" * 100_000)
    answer = connection.getresponse()
    assert answer.status == 400
    assert json.loads(answer.read())["error"]["code"] == "https_required"


def test_a_renewed_certificate_is_served_without_a_restart_and_a_broken_one_is_not(
    place: Place, authority: Authority
) -> None:
    files = authority.issue(place.folder / "tls")
    place.extra["SCALIX_APP"] = "tests.launch.tiny_app:create_reloading_app"
    gateway = place.start("--workers", "2", extra=variables(files))
    context, first = authority.trusted(), serial(files)
    assert served(gateway, context)[0] == first
    kept = served(gateway, context)[2]
    # The key of another certificate: what is in force stays, also in a worker that starts now.
    (place.folder / "tls" / "key.pem").write_bytes(authority.issue(place.folder / "other")[1].read_bytes())
    gateway.log_has("the renewed one is not taken")
    assert "does not belong to the certificate" in gateway.status()["certificate"]
    refused = place.run("--reload")
    assert refused.returncode == 2
    assert "does not belong to the certificate" in refused.stderr
    before = {worker.process.pid for worker in gateway.run_file.workers}
    for worker in gateway.run_file.workers:
        worker.process.send(signal.SIGKILL)

    def replaced() -> bool:
        now = {worker.process.pid for worker in gateway.run_file.workers if worker.ready}
        return len(now) == 2 and not now & before

    eventually(replaced, "both workers have been replaced")
    assert served(gateway, context)[0] == first
    assert gateway.status()["state"] == "ready"
    kept.close()
    # A sound one, whole.
    kept = served(gateway, context)[2]
    files = authority.issue(place.folder / "tls")
    gateway.log_has("renewed: certificate for localhost")
    eventually(lambda: {served(gateway, context)[0] for _ in range(6)} == {serial(files)}, "all workers serve it")
    assert "not taken" not in gateway.status()["certificate"]
    assert gateway.status()["state"] == "ready"
    # Who was connected goes on.
    assert b"200 OK" in ask(kept)
    # And one that is to be taken at once.
    files = authority.issue(place.folder / "tls")
    assert place.run("--reload").returncode == 0
    assert {served(gateway, context)[0] for _ in range(6)} == {serial(files)}


def empty(files: tuple[Path, Path]) -> None:
    files[0].write_text("")


def gone(files: tuple[Path, Path]) -> None:
    files[0].unlink()


def no_key(files: tuple[Path, Path]) -> None:
    files[1].write_text("-----BEGIN PRIVATE KEY-----\nbm90IGE=\n-----END PRIVATE KEY-----\n")


def directory(files: tuple[Path, Path]) -> None:
    files[1].unlink()
    files[1].mkdir()


def binary(files: tuple[Path, Path]) -> None:
    files[0].write_bytes(ssl.PEM_cert_to_DER_cert(files[0].read_text()))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (empty, "certificate.pem holds no certificate that can be read"),
        (gone, "certificate.pem can't be read (no such file or directory)"),
        (no_key, "key.pem holds no private key that can be read"),
        (directory, "key.pem can't be read (is a directory)"),
        (binary, "certificate.pem holds no certificate that can be read"),
    ],
)
def test_files_that_are_no_certificate_and_key_are_told_at_check_and_at_start(
    place: Place,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[tuple[Path, Path]], None],
    said: str,
) -> None:
    files = authority.issue(place.folder)
    spoil(files)
    place.extra.update(variables(files))
    code, _, errors = place.run_here(monkeypatch, "--check")
    assert (code, errors.count("\n")) == (2, 1)
    assert said in errors


def checked(place: Place, monkeypatch: pytest.MonkeyPatch, **extra: str) -> str:
    place.extra.update(extra)
    code, told, errors = place.run_here(monkeypatch, "--check")
    assert (code == 2) == bool(errors)
    return errors or told


def test_a_key_of_another_certificate_or_behind_a_password_is_told(
    place: Place, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, other = authority.issue(place.folder / "one"), authority.issue(place.folder / "other", password="pass")
    said = checked(place, monkeypatch, **variables((files[0], other[1])))
    assert "key.pem has a password; set SCALIX_TLS_PRIVATE_KEY_PASSWORD" in said
    said = checked(place, monkeypatch, SCALIX_TLS_PRIVATE_KEY_PASSWORD="wrong")
    assert "SCALIX_TLS_PRIVATE_KEY_PASSWORD does not open the key" in said
    said = checked(place, monkeypatch, SCALIX_TLS_PRIVATE_KEY_PASSWORD="pass")
    assert "key.pem does not belong to the certificate in " in said
    assert said.count("\n") == 1
    # A password that is not needed, and both in one file.
    both = place.folder / "both.pem"
    both.write_bytes(files[0].read_bytes() + files[1].read_bytes())
    said = checked(place, monkeypatch, SCALIX_TLS_CERTIFICATE=str(both), SCALIX_TLS_PRIVATE_KEY="")
    assert "tls      certificate for localhost, 127.0.0.1, until " in said


def test_settings_for_tls_that_say_nothing_are_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "SCALIX_TLS_PRIVATE_KEY is set, but no certificate is" in checked(
        place, monkeypatch, SCALIX_TLS_PRIVATE_KEY="key.pem"
    )
    assert "SCALIX_TLS_MIN_VERSION is no version of TLS" in checked(place, monkeypatch, SCALIX_TLS_MIN_VERSION="1.1")


def test_production_refuses_a_certificate_that_has_expired_and_a_key_that_all_can_read(
    place: Place, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = authority.issue(place.folder, days=-1)
    said = checked(place, monkeypatch, **variables(files))
    assert "has expired on" in said
    assert "clients refuse it" in said
    files[1].chmod(0o644)
    said = checked(
        place, monkeypatch, SCALIX_ENV="production", LITELLM_MASTER_KEY="sk-" + "7c1e" * 12, SCALIX_DRAIN_S="0"
    )
    assert "certificate.pem has expired on" in said
    assert "every user of this machine can read the private key" in said


def test_a_renewal_is_taken_when_its_files_have_stood_still(tmp_path: Path, authority: Authority) -> None:
    now_s, said = 0.0, list[str]()
    files = authority.issue(tmp_path / "tls")
    state = tmp_path / "state"
    state.mkdir()
    certificate = Certificate(TlsSettings(*files), state, said.append, clock=lambda: now_s)
    assert said.pop().startswith("certificate for localhost")
    # The certificate is written now, its key a little later: nothing to complain of between the two.
    new = authority.issue(tmp_path / "new")
    files[0].write_bytes(new[0].read_bytes())
    now_s += LOOK_EVERY_S
    assert not certificate.look()
    files[1].write_bytes(new[1].read_bytes())
    now_s += LOOK_EVERY_S
    assert not certificate.look()
    assert not said
    now_s += LOOK_EVERY_S
    assert certificate.look()
    assert said.pop().startswith("renewed: ")
    now_s += LOOK_EVERY_S
    assert not certificate.look()
