"""What is in deploy/ is right by the tools that will read it: each without a word of warning."""

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.operate.tools import ROOT, run

pytestmark = pytest.mark.operate
DEPLOY = ROOT / "deploy"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "gateway.pem", folder / "gateway.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, private


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    chain, private = certificate(tmp_path)
    both = tmp_path / "both"
    both.mkdir()
    (both / "gateway.pem").write_bytes(chain.read_bytes() + private.read_bytes())
    gateways = {f"GATEWAY_{number}": f"127.0.0.1:400{number}" for number in (1, 2, 3)}
    checked = run("haproxy", "-c", "-f", str(DEPLOY / "haproxy.cfg"), CERTIFICATES=str(both), **gateways)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    chain, private = certificate(tmp_path)
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


def test_the_image_s_file_has_nothing_to_be_said_about() -> None:
    checked = run("hadolint", "Dockerfile")
    assert (checked.returncode, checked.stdout) == (0, "")
