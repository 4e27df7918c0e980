"""Builds the domain's `IdentitySettings` from the config, and passes them on to the workers as text."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from scalix.domain.identity.addresses import Network, parse_network
from scalix.domain.identity.identity import (
    KEY_SET_ALGORITHMS,
    LEAST_SECRET_BYTES,
    SECRET_ALGORITHMS,
    IdentitySettings,
    Issuer,
)
from scalix.domain.identity.published_keys import is_published
from scalix.launch.config.config_schema import IssuerSection, ScalixSection
from scalix.launch.config.findings import Findings
from scalix.launch.config.references import NAME, whole_reference
from scalix.launch.config.schema_base import as_written
from scalix.launch.config.yaml_source import Step
from scalix.launch.problems import Problem, Wrong, fix_for

TRUSTED_PROXIES = "SCALIX_TRUSTED_PROXIES"
_ISSUERS: tuple[Step, ...] = ("scalix", "jwt", "issuers")


def build_identity(section: ScalixSection, findings: Findings, values: Mapping[str, str]) -> IdentitySettings:
    """Build the settings of who may call. `values` are the variables that hold the issuers' secrets. Problems go
    to `findings`."""
    written = section.jwt.issuers if section.jwt else []
    _check_conflicts(written, findings)
    issuers = [_issuer(issuer, (*_ISSUERS, index), findings, values) for index, issuer in enumerate(written)]
    anonymous = section.anonymous
    if anonymous and anonymous.tier not in section.tiers:
        fix = fix_for(anonymous.tier, section.tiers, "tier: ")
        findings.wrong(("scalix", "anonymous", "tier"), f"there is no tier '{anonymous.tier}'", fix)
    return IdentitySettings(
        issuers=tuple(issuers),
        anonymous_tier=anonymous.tier if anonymous and anonymous.enabled else None,
        trusted_proxies=(*section.trusted_proxies, *_proxies_of_the_environment(findings, values)),
    )


def _proxies_of_the_environment(findings: Findings, values: Mapping[str, str]) -> list[Network]:
    """Proxies that belong to where a gateway runs, such as a container's network, and not to its config."""
    found = list[Network]()
    for text in filter(None, map(str.strip, values.get(TRUSTED_PROXIES, "").split(","))):
        try:
            found.append(parse_network(text))
        except ValueError:
            fix = f"write addresses and networks with commas between, such as {TRUSTED_PROXIES}=10.0.0.0/8,192.168.1.7"
            findings.problems.append(Problem(TRUSTED_PROXIES, f"{text[:80]!r} is no address and no network", fix))
    return found


def _check_conflicts(written: list[IssuerSection], findings: Findings) -> None:
    """Report two issuers of one name, and prefixes that could confuse the users of two issuers."""
    for (one, first), (other, second) in combinations(enumerate(written), 2):
        steps = (*_ISSUERS, other)
        if first.issuer == second.issuer:
            findings.wrong(steps, f"the issuer '{first.issuer}' is there twice", "remove one of the two")
        elif first.operators is not second.operators:
            continue  # an operator of a user's name is nobody's user
        elif first.user_prefix.startswith(second.user_prefix) or second.user_prefix.startswith(first.user_prefix):
            what = f"one user_prefix of jwt.issuers[{one}] and [{other}] begins the other"
            fix = "give each issuer a user_prefix of its own, such as acme: and other:"
            findings.wrong(steps, f"{what}, so that users could be confused", fix)


def _issuer(written: IssuerSection, steps: tuple[Step, ...], findings: Findings, values: Mapping[str, str]) -> Issuer:
    variable, key_file = None, None
    try:
        if written.secret is not None:
            variable = _variable(written.secret)
            _check_secret(variable, values.get(variable, ""), values.get("SCALIX_ENV") == "production")
        if written.jwks_file is not None:
            key_file = (findings.source.path.parent / written.jwks_file).resolve()
            _check_key_file(key_file)
    except Wrong as wrong:
        key = "secret" if written.secret is not None else "jwks_file"
        findings.wrong((*steps, key), wrong.what, wrong.fix)
    default = SECRET_ALGORITHMS if written.secret is not None else KEY_SET_ALGORITHMS
    return Issuer(
        name=written.issuer,
        audiences=tuple(written.audience),
        algorithms=tuple(written.algorithms or default),
        secret_variable=variable,
        jwks_file=None if key_file is None else str(key_file),
        tier_claim=written.tier_claim if written.trust_tier else None,
        **as_written(written, "jwks_url", "user_claim", "user_prefix", "leeway_s", "refresh_s", "operators"),
    )


def of_no_place(settings: IdentitySettings, section: ScalixSection) -> IdentitySettings:
    """The settings less what belongs to the machine: where a key set lies (its content counts), and the proxies that
    the environment names. Gateways with one config on several machines have this in common."""
    issuers = [
        issuer if issuer.jwks_file is None else replace(issuer, jwks_file=_digest_of(Path(issuer.jwks_file)))
        for issuer in settings.issuers
    ]
    return replace(settings, issuers=tuple(issuers), trusted_proxies=section.trusted_proxies)


def _digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # a problem that is told elsewhere
        return ""


def _variable(reference: str) -> str:
    name = whole_reference(reference)
    if name is None or not NAME.fullmatch(name):
        fix = "write secret: ${SCALIX_JWT_SECRET}, and set that variable in the environment or an env file"
        raise Wrong("the secret of an issuer stands here in plain text", fix)
    return name


def _check_secret(name: str, written: str, is_production: bool) -> None:
    secret, what = written.encode(), ""
    if not secret:
        what = "is not set"
    elif is_published(written):
        what = "is an example that everybody can read" if is_production else ""
    elif len(secret) < LEAST_SECRET_BYTES:
        what = f"has {len(secret)} bytes, so few that tokens could be forged"
    elif b"-----BEGIN" in secret or secret.startswith((b"ssh-", b"ecdsa-")):
        fix = "put public keys into a key set and name it with jwks_file:"
        raise Wrong(f"{name} is a key of a key pair, not a shared secret", fix)
    elif len(set(secret)) < 8:
        what = "repeats a few characters, so that it could be guessed"
    if what:
        fix = f"set {name} to the issuer's secret, at least {LEAST_SECRET_BYTES} bytes, such as `openssl rand -hex 32`"
        raise Wrong(f"{name} {what}", f"{fix} prints")


def _check_key_file(path: Path) -> None:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise Wrong(f"can't read the key set {path}: {error.strerror}", "name a file with a JSON Web Key Set") from None
    except ValueError:
        raise Wrong(f"the key set {path} is not JSON", 'write {"keys": [...]}, as in RFC 7517') from None
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list) or not found["keys"]:
        raise Wrong(f"the key set {path} holds no keys", 'write {"keys": [...]}, as in RFC 7517')
