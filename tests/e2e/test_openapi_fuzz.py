"""schemathesis over docs/openapi.yaml, against the running gateway: every operation, right and wrong requests."""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from requests import Session

from scalix.domain.requests.routes import Route
from tests.e2e.gateways import (
    AUDIT_KEY,
    ENCRYPTION_KEY,
    JWT_SECRET,
    MASTER_KEY,
    METRICS_TOKEN,
    PROVIDER_KEY,
    ROOT,
    Gateway,
)
from tests.e2e.test_canaries import whole_log

pytestmark = pytest.mark.timeout(300)

# For each of the operations; SCALIX_OPENAPI_EXAMPLES=300 for a long run.
EXAMPLES = int(os.environ.get("SCALIX_OPENAPI_EXAMPLES", "10"))
LONGEST_ANSWER_S = 20
MODEL = "free-gemini-flash"
METERED = {prefix + route.row.path for route in Route for prefix in ("", "/v1")}
CANARIES = (PROVIDER_KEY, MASTER_KEY, AUDIT_KEY, ENCRYPTION_KEY, JWT_SECRET, METRICS_TOKEN)
# The only faults that a request may meet, each a 503; the gateway's own (500) is none of them.
FAULTS = {"overloaded", "store_unavailable", "identity_unavailable", "provider_unavailable"}

schema = schemathesis.openapi.from_path(ROOT / "docs" / "openapi.yaml")


@dataclass
class Callers:
    """A connection, and credentials in turn: an operator's, a user's, none, a wrong one."""

    gateway: Gateway
    session: Session
    turns: Iterator[str | None]


@pytest.fixture(scope="module")
def callers(gateway: Gateway) -> Iterator[Callers]:
    user = f"fuzz-{secrets.token_hex(6)}"
    with gateway.client() as operator:
        assert operator.post("/user/new", json={"user_id": user, "tier": "roomy"}).status_code == 200
        key = operator.post("/key/generate", json={"user_id": user}).json()["key"]
    with Session() as session:
        session.trust_env = False
        yield Callers(gateway, session, cycle((MASTER_KEY, key, MASTER_KEY, key, None, "sk-wrong")))


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_answers_in_time_with_its_own_words(case: Any, callers: Callers) -> None:
    key = next(callers.turns)
    if case.path in METERED and isinstance(case.body, dict) and "model" in case.body:
        case.body["model"] = MODEL  # else next to all of them would end there
    answer = case.call(
        base_url=callers.gateway.url,
        session=callers.session,
        headers={} if key is None else {"authorization": f"Bearer {key}"},
        timeout=LONGEST_ANSWER_S,
    )
    text = answer.text
    assert answer.status_code < 500 or answer.json()["error"]["code"] in FAULTS, (answer.status_code, text[:300])
    assert not any(word in text for word in ("Traceback", 'File "/', "site-packages", "litellm."))
    assert not any(canary in text for canary in CANARIES)
    if answer.status_code >= 400 and case.method.upper() != "HEAD":
        assert answer.json()["error"]["message"]


def test_the_fuzz_has_left_no_stack_trace_and_no_secret_in_the_log(callers: Callers) -> None:
    odd = {"model": MODEL, "user": "fuzz", "messages": [{"role": "user"}], "input": [{}], "prompt": 1}
    with callers.gateway.client() as operator:  # where the fuzz has not run, these
        for path in METERED:
            assert operator.post(path, json=odd).status_code < 500
    log = whole_log(callers.gateway)
    assert "Traceback" not in log
    assert not any(canary in log for canary in CANARIES)
