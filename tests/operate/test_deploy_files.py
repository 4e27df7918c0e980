"""What is in deploy/ is right by the tools that will read it: each without a word of warning."""

import contextlib
import json
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from scalix.launch.processes.child_process import die_with_parent
from tests.authority import Authority
from tests.operate.tools import ROOT, program, run
from tests.operate.topology import HAProxy
from tests.store.servers import free_ports

pytestmark = pytest.mark.operate
DEPLOY = ROOT / "deploy"
NAMES = ("gateway.example.com",)


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    Authority(tmp_path).issue_together(both / "gateway.pem", NAMES)
    gateways = {f"GATEWAY_{number}": f"127.0.0.1:400{number}" for number in (1, 2, 3)}
    checked = run("haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg"), CERTIFICATES=str(both), **gateways)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


def nginx_with_its_file(folder: Path, port: int = 8443, gateway: int = 4000) -> tuple[str, ...]:
    """The command that starts nginx with the file in deploy/, at `port`, in front of one gateway three times."""
    chain, private = Authority(folder).issue(folder / "tls", NAMES)
    text = (DEPLOY / "nginx.conf").read_text().replace("listen 8443", f"listen 127.0.0.1:{port}")
    for written, there in (("gateway.pem", chain), ("gateway.key", private)):
        text = text.replace(f"/etc/nginx/certificates/{written}", str(there))
    text = re.sub(r"127\.0\.0\.1:400\d", f"127.0.0.1:{gateway}", text)
    whole = folder / "nginx.conf"
    own = f"pid {folder}/pid; error_log stderr; daemon off;"
    whole.write_text(f"{own}\nevents {{}}\nhttp {{\naccess_log off;\n{text}\n}}\n")
    return program("nginx"), "-c", str(whole), "-p", str(folder)


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    checked = run(*nginx_with_its_file(tmp_path), "-t")
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


class Echo(BaseHTTPRequestHandler):
    """A gateway that tells which headers have reached it."""

    def do_GET(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is told of requests."""


@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
def test_proxies_tell_gateways_alone_who_calls_and_where(tmp_path: Path, proxy: str) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server, contextlib.ExitStack() as stack:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        if proxy == "haproxy":
            haproxy = HAProxy(tmp_path / "haproxy", [server.server_port] * 3)
            stack.callback(haproxy.close)
            port = haproxy.start().port
        else:
            (port,) = free_ports(1)
            command = nginx_with_its_file(tmp_path, port, server.server_port)
            nginx = stack.enter_context(subprocess.Popen(command, preexec_fn=die_with_parent()))
            stack.callback(nginx.terminate)
        lies = {"X-Forwarded-For": "10.9.9.9", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil.example.com"}
        flags = [flag for name, value in lies.items() for flag in ("-H", f"{name}: {value}")]
        for version in ("--http1.1", "--http2"):
            asked = run(
                *("curl", "-sk", version, "--retry", "20", "--retry-connrefused", "--retry-delay", "1", *flags),
                *("--resolve", f"{NAMES[0]}:{port}:127.0.0.1", f"https://{NAMES[0]}:{port}/"),
            )
            told = json.loads(asked.stdout)
            assert told["host"] == f"{NAMES[0]}:{port}"  # links begin with it
            assert told["x-forwarded-for"] == "127.0.0.1"
            assert told["x-forwarded-proto"] == "https"
            assert "x-forwarded-host" not in told


def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "scalix-gateway.service"
    # Any program in its place: verify looks whether it is there.
    unit.write_text((DEPLOY / "systemd" / unit.name).read_text().replace("/opt/scalix/bin/scalix", "/bin/true"))
    checked = run("systemd-analyze", "verify", str(unit))
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    judged = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit))
    assert judged.returncode == 0, judged.stdout


def test_kubernetes_takes_the_manifests(tmp_path: Path) -> None:
    built = run("kubectl", "kustomize", str(DEPLOY / "kubernetes"))
    assert built.returncode == 0, built.stderr
    manifests = tmp_path / "all.yaml"
    manifests.write_text(built.stdout)
    checked = run("kubernetes-validate", "--strict", str(manifests))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "WARN" not in checked.stdout + checked.stderr
    assert checked.stdout.count("passed") + checked.stderr.count("passed") == built.stdout.count("\nkind: ")


def test_the_composition_keeps_to_its_specification() -> None:
    checked = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml"))
    assert checked.returncode == 0, checked.stdout


def test_in_the_composition_gateways_meet_haproxy_in_the_one_network_that_they_trust() -> None:
    made = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    gateways = [service for name, service in made["services"].items() if name.startswith("gateway-")]
    haproxy = made["services"]["haproxy"]
    for gateway in gateways:
        (shared,) = {*gateway["networks"]} & {*haproxy["networks"]}
        (known,) = made["networks"][shared]["ipam"]["config"]
        assert known["subnet"] == gateway["environment"]["SCALIX_TRUSTED_PROXIES"]
    (connections,) = re.findall(r"^ +maxconn (\d+)", (DEPLOY / "haproxy.cfg").read_text(), re.MULTILINE)
    assert haproxy["ulimits"]["nofile"] > 2 * int(connections)


def test_the_image_s_file_has_nothing_to_be_said_about() -> None:
    checked = run("hadolint", "Dockerfile")
    assert (checked.returncode, checked.stdout) == (0, "")


def test_promtool_takes_the_rules_and_finds_that_each_fires_and_is_silent_when_it_should() -> None:
    folder = "deploy/prometheus"
    for command in (("check", "rules", f"{folder}/alerts.yaml"), ("test", "rules", f"{folder}/alerts_test.yaml")):
        checked = run("promtool", *command)
        assert checked.returncode == 0, checked.stdout + checked.stderr
