"""What is in deploy/ is right by the tools that will read it: each without a word of warning."""

import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.authority import Authority
from tests.operate.tools import ROOT, run

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


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    chain, private = Authority(tmp_path).issue(tmp_path / "tls", NAMES)
    text = (DEPLOY / "nginx.conf").read_text()
    for written, there in (("gateway.pem", chain), ("gateway.key", private)):
        text = text.replace(f"/etc/nginx/certificates/{written}", str(there))
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{text}\n}}\n")
    checked = run("nginx", "-t", "-c", str(whole), "-p", str(tmp_path))
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


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
