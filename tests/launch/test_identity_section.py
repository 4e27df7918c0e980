"""`scalix.jwt`, `scalix.anonymous` and `scalix.trusted_proxies`: what they give, and what is said of a wrong line."""

import json
import textwrap
from ipaddress import ip_network
from pathlib import Path

import pytest

from scalix.domain.identity.identity import IdentitySettings, Issuer
from scalix.launch.problems import Problem
from tests.launch.config_text import KEYS, MODELS, TIERS, problem_of, problems_of, read

SECRET = "canary-jwt-secret-0123456789abcdefghij"
VALUES = {**KEYS, "SCALIX_JWT_SECRET": SECRET}
ISSUER = "issuer: https://a.test, audience: scalix"


def written(section: str) -> str:
    return MODELS + TIERS + textwrap.indent(textwrap.dedent(section), "  ")


def identity(tmp_path: Path, section: str) -> IdentitySettings:
    return read(tmp_path, written(section), VALUES).identity


def issuer_problem(tmp_path: Path, entry: str, values: dict[str, str] = VALUES) -> Problem:
    problem = problem_of(tmp_path, written(f"jwt:\n  issuers:\n    - {{{entry}}}\n"), values)
    assert SECRET not in str(problem)
    return problem


def test_nobody_is_trusted_by_default(tmp_path: Path) -> None:
    assert read(tmp_path, MODELS + TIERS).identity == IdentitySettings()


def test_a_shared_secret_is_named_by_its_variable_and_written_nowhere(tmp_path: Path) -> None:
    found = identity(tmp_path, f"jwt:\n  issuers:\n    - {{{ISSUER}, secret: '${{SCALIX_JWT_SECRET}}'}}\n")
    assert found.issuers == (Issuer("https://a.test", ("scalix",), ("HS256",), secret_variable="SCALIX_JWT_SECRET"),)
    assert SECRET not in repr(found)


def test_every_setting_is_read_and_survives_the_way_to_a_worker(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [{"kty": "EC"}]}))
    found = identity(
        tmp_path,
        """
        jwt:
          issuers:
            - issuer: a
              audience: [one, two]
              jwks_url: https://a.test/keys
              algorithms: [RS256]
              user_claim: email
              tier_claim: plan
              trust_tier: true
              user_prefix: "a:"
              leeway_s: 0
              refresh_s: 60
            - {issuer: b, audience: one, jwks_file: keys.json, user_prefix: "b:", tier_claim: plan}
        anonymous: {enabled: true, tier: free}
        trusted_proxies: [10.0.0.0/8, "2001:db8::/32", 192.0.2.1]
        """,
    )
    first, second = found.issuers
    assert first == Issuer(
        "a", ("one", "two"), ("RS256",), None, "https://a.test/keys", None, "email", "plan", "a:", 0, 60
    )
    assert (second.jwks_file, second.tier_claim) == (str(tmp_path / "keys.json"), None)
    assert second.algorithms == ("RS256", "ES256", "EdDSA")
    assert found.anonymous_tier == "free"
    assert found.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32")))


def test_anonymous_callers_are_off_unless_enabled(tmp_path: Path) -> None:
    assert identity(tmp_path, "anonymous: {tier: free}").anonymous_tier is None


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (ISSUER, "says nothing of the key"),
        (f"{ISSUER}, secret: '${{SCALIX_JWT_SECRET}}', jwks_url: https://a.test/k", "both secret and jwks_url"),
        (f"{ISSUER}, secret: {SECRET}", "in plain text"),
        (f"{ISSUER}, secret: 'x${{SCALIX_JWT_SECRET}}'", "in plain text"),
        (f"{ISSUER}, secret: '${{OTHER}}'", "OTHER is not set"),
        (f"{ISSUER}, secret: '${{SCALIX_JWT_SECRET}}', algorithms: [RS256]", "RS256, which does not go with secret"),
        (f"{ISSUER}, jwks_url: https://a.test/k, algorithms: [RS256, HS256]", "HS256, which does not go with jwks_url"),
        (f"{ISSUER}, jwks_url: https://a.test/k, algorithms: [none]", "not one of the words"),
        (f"{ISSUER}, jwks_url: http://a.test/k", "not encrypted"),
        (f"{ISSUER}, jwks_url: ftp://a.test/k", "is not a web address"),
        (f"{ISSUER}, jwks_url: 'https://u:p@a.test/k'", "holds a password"),
        (f"{ISSUER}, jwks_file: nowhere.json", "can't read the key set"),
        (f"{ISSUER}, jwks_file: config.yaml", "is not JSON"),
        (f"{ISSUER}, jwks_url: https://a.test/k, trust_tier: true", "no tier_claim"),
        (f"{ISSUER}, jwks_url: https://a.test/k, leeway_s: 301", "from 0 to 300"),
        (f"{ISSUER}, jwks_url: https://a.test/k, refresh_s: 5", "from 60 to 86400"),
        (f"{ISSUER}, jwks_url: https://a.test/k, user_clam: sub", "unknown key 'user_clam'"),
        ("issuer: a, jwks_url: https://a.test/k", "'audience' is missing"),
        ("issuer: a, audience: [], jwks_url: https://a.test/k", "is empty"),
        ("issuer: '', audience: a, jwks_url: https://a.test/k", "is empty"),
    ],
)
def test_a_wrong_issuer_is_one_line_with_its_place(tmp_path: Path, entry: str, what: str) -> None:
    problem = issuer_problem(tmp_path, entry)
    assert what in problem.what
    assert problem.where.split(":")[1].isdigit()


def test_an_unknown_key_is_told_its_nearest_name(tmp_path: Path) -> None:
    assert issuer_problem(tmp_path, f"{ISSUER}, jwks_url: https://a.test/k, user_clam: sub").fix == "write 'user_claim'"
    assert problem_of(tmp_path, written("anonymous: {tier: free, enable: true}")).fix == "write 'enabled'"


@pytest.mark.parametrize(
    ("secret", "what"),
    [
        ("too-short", "has 9 bytes"),
        ("a" * 64, "repeats a few characters"),
        ("-----BEGIN PUBLIC KEY-----\nMIIB0123456789abcdefghijklmnop\n", "is a key of a key pair"),
    ],
)
def test_a_secret_that_could_be_guessed_is_refused_without_showing_it(tmp_path: Path, secret: str, what: str) -> None:
    problem = issuer_problem(
        tmp_path, f"{ISSUER}, secret: '${{SCALIX_JWT_SECRET}}'", {**KEYS, "SCALIX_JWT_SECRET": secret}
    )
    assert what in problem.what
    assert secret not in str(problem)


@pytest.mark.parametrize("secret", ["changeme", "your_jwt_secret_here", "replace-with-openssl-rand-hex-32"])
def test_a_secret_that_everybody_can_read_is_refused_in_production_and_starts_in_development(
    tmp_path: Path, secret: str
) -> None:
    entry = f"{ISSUER}, secret: '${{SCALIX_JWT_SECRET}}'"
    values = {**KEYS, "SCALIX_JWT_SECRET": secret}
    problem = issuer_problem(tmp_path, entry, {**values, "SCALIX_ENV": "production"})
    assert problem.what == "SCALIX_JWT_SECRET is an example that everybody can read"
    assert secret not in str(problem)
    section = f"jwt:\n  issuers:\n    - {{{entry}}}\n"
    assert read(tmp_path, written(section), values).identity.issuers[0].secret_variable == "SCALIX_JWT_SECRET"


@pytest.mark.parametrize(
    ("one", "two"), [("", ""), ("", "b:"), ("a:", "a:"), ("a", "ab"), ("ab", "a")], ids=lambda text: f"'{text}'"
)
def test_issuers_whose_users_could_be_confused_are_refused(tmp_path: Path, one: str, two: str) -> None:
    entries = "".join(
        f"    - {{issuer: {name}, audience: x, jwks_url: https://{name}.test/, user_prefix: '{prefix}'}}\n"
        for name, prefix in (("first", one), ("second", two))
    )
    problem = problem_of(tmp_path, written("jwt:\n  issuers:\n" + entries))
    assert "begins the other" in problem.what


def test_one_issuer_twice_is_refused(tmp_path: Path) -> None:
    entry = "    - {issuer: a, audience: x, jwks_url: https://a.test/}\n"
    assert "is there twice" in problem_of(tmp_path, written("jwt:\n  issuers:\n" + entry * 2)).what


def test_a_tier_that_is_not_there_is_named(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, written("anonymous: {enabled: true, tier: fre}"))
    assert (problem.what, problem.fix) == ("there is no tier 'fre'", "write tier: free")


def test_proxies_that_are_no_networks_are_named(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, written("trusted_proxies: [10.0.0.1/8, proxy.internal, 7]"))
    assert [problem.what.split("'")[1] for problem in problems] == ["10.0.0.1/8", "proxy.internal", "7"]


def test_proxies_of_the_environment_are_added_and_wrong_ones_named(tmp_path: Path) -> None:
    text = written("trusted_proxies: [10.0.0.0/8]")
    found = read(tmp_path, text, KEYS | {"SCALIX_TRUSTED_PROXIES": "192.0.2.1, 2001:db8::/32,"}).identity
    assert found.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")))
    problem = problem_of(tmp_path, text, KEYS | {"SCALIX_TRUSTED_PROXIES": "192.0.2.1,haproxy"})
    assert (problem.where, problem.what) == ("SCALIX_TRUSTED_PROXIES", "'haproxy' is no address and no network")
