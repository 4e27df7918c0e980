"""`scalix doctor` asks the store and the providers, as the gateway would, and says what is amiss with each."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.authority import Authority
from tests.launch.doctor_rig import GOOD_KEY, Practice, answering
from tests.launch.running import Place
from tests.store.sentinels import PASSWORD, Watched
from tests.store.servers import Cluster, Server, free_ports

SECRET = "canaryZ7q2XwV9kLmN4pR8sT1u"


@pytest.fixture
def practice(place: Place, monkeypatch: pytest.MonkeyPatch) -> Practice:
    made = Practice(place, monkeypatch)
    made.variables["LITELLM_PORT"] = str(free_ports(1)[0])
    made.models(("vertex_ai/none", "vertex_project: p"), ("bedrock/none", "aws_region_name: r"))
    return made


def at(url: str, key: str = '"${TINY_KEY}"') -> tuple[str, str]:
    return "openai/tiny", f'api_base: "{url}/v1", api_key: {key}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server", free_ports(1)[0], "--rename-command", "FLUSHALL", "")
    yield server
    server.close()


@pytest.mark.parametrize(
    ("name", "level"), [("development", "warning"), ("staging", "warning"), ("production", "problem")]
)
def test_a_store_that_keeps_nothing_loses_money_at_its_restart(
    practice: Practice, server: Server, name: str, level: str
) -> None:
    practice.variables |= {"REDIS_URL": server.start().url, "SCALIX_ENV": name, "LITELLM_MASTER_KEY": GOOD_KEY}
    seen = practice.examine()
    assert seen.the("store", "lost when it restarts")["level"] == level
    assert seen.the("store", "(p50)")["level"] == "ok"
    assert seen.the("store", "MB in use")["level"] == "ok"
    server.admin.config_set("save", "60 1")
    assert practice.examine().the("store", "snapshots only")["level"] == "warning"
    server.admin.config_set("appendonly", "yes")
    assert practice.examine().the("store", "appendonly yes")["level"] == "ok"


def test_a_store_that_forbids_config_is_no_fault(practice: Practice, server: Server) -> None:
    server.options += ("--rename-command", "CONFIG", "")
    practice.variables["REDIS_URL"] = server.start().url
    seen = practice.examine()
    assert seen.of("store", "warning", "problem") == []
    assert seen.the("store", "does not let itself be asked")["level"] == "note"


def test_a_store_that_is_away_or_would_evict_is_a_problem_with_its_remedy(practice: Practice, server: Server) -> None:
    practice.variables["REDIS_URL"] = server.url.replace("redis://", f"redis://:{SECRET}@")
    away = practice.examine()
    assert away.the("store", "can't be reached")["level"] == "problem"
    assert away.code == 2
    assert SECRET not in json.dumps(away.findings)
    practice.variables["REDIS_URL"] = server.url
    server.start().admin.config_set("maxmemory-policy", "volatile-lru")
    assert practice.examine().the("store", "volatile-lru")["fix"].startswith("run CONFIG SET")


def test_no_store_is_taken_for_the_one_that_settings_with_a_mistake_name(practice: Practice) -> None:
    practice.variables |= {"REDIS_URL": "redis://127.0.0.1:6379", "REDIS_HOST": "elsewhere"}
    seen = practice.examine("--offline")
    assert seen.the("settings", "name different servers")["level"] == "problem"
    assert seen.of("store", "ok") == []
    assert seen.the("store", "not tried")["level"] == "note"


def test_a_store_that_is_nearly_full_or_whose_clock_differs_is_a_warning(
    practice: Practice, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    practice.variables["REDIS_URL"] = server.start().url
    server.admin.config_set("maxmemory", int(server.admin.info()["used_memory"] * 1.1))
    assert practice.examine().the("store", "% of maxmemory")["level"] == "warning"
    here = time.time
    monkeypatch.setattr("scalix.launch.doctor.store.time.time", lambda: here() + 90)
    assert "behind this machine's" in practice.examine().the("store", "its clock is 90")["what"]


@pytest.mark.xdist_group("clusters")
def test_a_cluster_that_lacks_a_node_is_a_problem(practice: Practice, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "cluster").start()
    try:
        practice.variables["REDIS_URL"] = cluster.url
        assert practice.examine().the("store", "cluster is whole")["level"] == "ok"
        cluster.masters[0].admin.execute_command("CLUSTER DELSLOTS", 1)
        assert practice.examine().the("store", "not whole")["level"] == "problem"
    finally:
        for node in cluster.nodes:
            node.close()


def test_offline_no_server_is_called(practice: Practice) -> None:
    with answering(200) as there:
        practice.models(at(there.url))
        practice.variables["REDIS_URL"] = f"redis://127.0.0.1:{free_ports(1)[0]}"
        seen = practice.examine("--offline")
    assert there.asked == []
    assert seen.of("store", "warning", "problem") == seen.of("providers", "warning", "problem") == []


@pytest.mark.parametrize(
    ("status", "body", "level", "words"),
    [
        (200, b"{}", "ok", "answers (200)"),
        (404, b"", "ok", "answers (404)"),
        (401, b"no", "problem", "refuses TINY_KEY (401)"),
        (400, b'{"error": {"details": [{"reason": "API_KEY_INVALID"}]}}', "problem", "refuses TINY_KEY (400)"),
        (402, b"", "warning", "no balance"),
        (403, b"", "warning", "forbids"),
        (307, b"", "warning", "redirect"),
        (503, b"", "warning", "answers 503"),
    ],
)
def test_what_a_provider_answers_says_whether_the_key_is_right(
    practice: Practice, status: int, body: bytes, level: str, words: str
) -> None:
    practice.variables["TINY_KEY"] = SECRET
    with answering(status, body) as there:
        practice.models(at(there.url), at(there.url))
        seen = practice.examine()
    assert seen.the("providers", words)["level"] == level
    ((method, path, headers),) = there.asked
    assert (method, path, headers["authorization"]) == ("GET", "/v1/models", f"Bearer {SECRET}")
    assert SECRET not in json.dumps(seen.findings)


def test_providers_that_can_not_be_reached_are_named_with_the_reason_all_within_seconds(practice: Practice) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        practice.models(
            at(f"http://127.0.0.1:{silent.getsockname()[1]}"),
            at(f"http://127.0.0.1:{free_ports(1)[0]}"),
            at("http://nowhere.invalid"),
        )
        before = time.monotonic()
        seen = practice.examine()
    assert time.monotonic() - before < 20
    assert seen.the("providers", "no answer within")["level"] == "problem"
    assert seen.the("providers", "connection refused")["level"] == "problem"
    assert "DNS here" in seen.the("providers", "nowhere.invalid")["fix"]


def test_certificates_of_providers_are_checked_as_the_gateway_checks_them(practice: Practice, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with answering(200, certificate=authority.issue_together(tmp_path / "own.pem", days=0.1)) as there:
        practice.models(at(there.url))
        assert practice.examine().the("providers", "not trusted")["level"] == "problem"
        practice.variables["SSL_CERT_FILE"] = str(authority.file)
        assert practice.examine().the("providers", "expires in 0 days")["level"] == "warning"
        practice.variables["SSL_CERT_FILE"] = str(tmp_path / "none.pem")
        seen = practice.examine()
        assert seen.the("certificates", "none.pem can't be used")["level"] == "problem"
        assert seen.of("providers", "warning", "problem") == []
        practice.variables["SSL_VERIFY"] = "false"
        seen = practice.examine()
    assert seen.the("certificates", "anybody between")["level"] == "warning"
    assert seen.the("providers", "answers (200)")["level"] == "ok"


def test_providers_are_called_through_the_proxy_that_the_gateway_uses(practice: Practice) -> None:
    with answering(200) as proxy:
        practice.models(at("http://provider.invalid"))
        practice.variables["HTTP_PROXY"] = proxy.url
        assert practice.examine().the("providers", "answers (200)")["level"] == "ok"
        assert proxy.asked[0][1] == "http://provider.invalid/v1/models"
        practice.variables["NO_PROXY"] = "provider.invalid"
        assert practice.examine().of("providers", "problem")


def test_keys_go_to_each_provider_in_its_own_way(practice: Practice) -> None:
    with answering(200) as there:
        practice.models(
            ("anthropic/claude-3-opus-20240229", f'api_base: "{there.url}/a", api_key: "${{TINY_KEY}}"'),
            ("gemini/gemini-2.0-flash", f'api_base: "{there.url}/g", api_key: "${{TINY_KEY}}"'),
            ("azure/gpt-4", f'api_base: "{there.url}/z", api_key: "${{TINY_KEY}}", api_version: "2024-10-21"'),
        )
        practice.variables["TINY_KEY"] = SECRET
        practice.examine()
    heads = {path.split("?")[0]: {name.lower(): value for name, value in head.items()} for _, path, head in there.asked}
    assert heads["/a/models"]["x-api-key"] == SECRET
    assert heads["/g/models"]["x-goog-api-key"] == SECRET
    assert heads["/z/openai/models"]["api-key"] == SECRET


@pytest.mark.parametrize(
    ("days", "level", "words"),
    [(30, "ok", "until"), (5, "warning", "expires in"), (-2, "problem", "expired 2 days ago")],
)
def test_the_gateways_own_certificate_is_looked_at(
    practice: Practice, tmp_path: Path, days: int, level: str, words: str
) -> None:
    files = Authority(tmp_path).issue(tmp_path / "tls", days=days)
    practice.variables |= {"SCALIX_TLS_CERTIFICATE": str(files[0]), "SCALIX_TLS_PRIVATE_KEY": str(files[1])}
    seen = practice.examine("--offline")
    assert seen.the("certificates", words)["level"] == level
    assert seen.the("certificates", "the certificate alone")["level"] == "note"


def test_a_key_of_another_certificate_is_a_problem_and_one_that_others_may_read_a_warning(
    practice: Practice, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    (own, own_key), (_, other_key) = authority.issue(tmp_path / "a"), authority.issue(tmp_path / "b")
    practice.variables |= {"SCALIX_TLS_CERTIFICATE": str(own), "SCALIX_TLS_PRIVATE_KEY": str(other_key)}
    assert practice.examine("--offline").the("settings", "does not belong")["level"] == "problem"
    practice.variables["SCALIX_TLS_PRIVATE_KEY"] = str(own_key)
    own_key.chmod(0o644)
    assert practice.examine("--offline").the("modes", str(own_key))["fix"] == f"run chmod 600 {own_key}"


@pytest.mark.xdist_group("clusters")
def test_a_store_that_sentinels_watch_is_asked_where_they_say_it_is(practice: Practice, tmp_path: Path) -> None:
    watched = Watched(tmp_path / "watched")
    try:
        practice.variables["REDIS_URL"] = watched.start().url
        seen = practice.examine()
        assert seen.the("store", "(p50)")["level"] == "ok"
        assert seen.the("store", "lost when it restarts")["level"] == "warning"
        assert PASSWORD not in json.dumps(seen.findings)
    finally:
        watched.close()
