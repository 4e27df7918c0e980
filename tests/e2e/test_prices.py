"""Money: what a request costs is what its provider takes, and neither a spend limit nor a balance is ever passed."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.domain.media import files
from tests.e2e.calls import ANTHROPIC_MODEL, Bench
from tests.e2e.gateways import Gateway
from tests.e2e.test_audit import scalix

# gpt-4 in LiteLLM's map, dollars per token.
INPUT_USD, OUTPUT_USD = 3e-5, 6e-5
LIMIT_USD = 0.1


@pytest.fixture
def bench(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> Bench:
    return Bench(gateway, demo_server, http, new_user("ten-cents"), marker)


@pytest.mark.parametrize("route", ["chat", "completions", "responses", "messages"])
def test_a_request_costs_what_the_providers_usage_costs_streamed_or_not(bench: Bench, route: str) -> None:
    for number, stream in enumerate((False, True), 1):
        answer = bench.post(route, "words=20", stream=stream)
        assert answer.status_code == 200, answer.text
        entries = bench.log(number)
        cost = sum(entry["prompt_tokens"] * INPUT_USD + entry["completion_tokens"] * OUTPUT_USD for entry in entries)
        assert bench.usage()["cost_today_usd"] == pytest.approx(cost, abs=2e-9)


def test_embeddings_cost_their_prompt(bench: Bench) -> None:
    """Hazard 7."""
    assert bench.post("embeddings").status_code == 200
    (entry,) = bench.log(1)
    assert entry["prompt_tokens"] > 0
    assert bench.usage()["cost_today_usd"] == pytest.approx(entry["prompt_tokens"] * INPUT_USD, abs=2e-9)


def test_room_is_reserved_at_the_full_price_and_given_back(bench: Bench) -> None:
    with bench.open("chat", "words=5 hang_after=5", stream=True):
        bench.wait_for_provider()
        (entry,) = bench.provider.requests(contains=bench.marker)
        cap = entry["body"]["max_tokens"]
        assert cap * OUTPUT_USD <= LIMIT_USD
        assert cap * OUTPUT_USD > LIMIT_USD * 0.9
        second = bench.post("chat", "words=5")
        assert (second.status_code, second.json()["error"]["code"]) == (429, "quota_reserved")
    bench.counted_when(lambda counted: counted[2] == 0)
    assert bench.post("chat", "words=5").status_code == 200


def test_a_spend_limit_holds_to_the_last_cent(bench: Bench) -> None:
    codes = [bench.post("chat", "words=400").status_code for _ in range(8)]
    spent = bench.usage()["cost_today_usd"]
    last = bench.post("chat", "words=400")

    assert codes[0] == 200
    assert set(codes) == {200, 429}
    assert LIMIT_USD * 0.95 <= spent <= LIMIT_USD
    assert last.json()["error"]["code"] == "insufficient_quota"


def test_a_model_without_a_price_is_not_free_under_a_spend_limit(bench: Bench) -> None:
    """Hazard 8."""
    answer = bench.post("chat", "words=5", model=ANTHROPIC_MODEL)

    assert (answer.status_code, answer.json()["error"]["param"]) == (403, "model")
    assert "no price" in answer.json()["error"]["message"]
    assert bench.provider.requests(contains=bench.marker) == []


def test_a_prepaid_balance_is_credited_by_the_command_line_and_used_up(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> None:
    user = new_user("prepaid")
    bench = Bench(gateway, demo_server, http, user, marker)
    first = bench.post("chat", "words=5")
    assert (first.status_code, first.json()["error"]["scalix"]["limit"]) == (429, "balance")
    assert bench.provider.requests(contains=marker) == []

    for said in ("credited 0.05 USD; balance 0.050000 USD", "was credited before, nothing was added; balance 0.050000"):
        done = scalix(gateway, "user", "credit", user, "0.05", "--id", "invoice-1")
        assert (done.returncode, said in done.stdout) == (0, True), done.stdout + done.stderr
    for stream in (False, True):
        assert bench.post("chat", "words=20", stream=stream).status_code == 200
    entries = bench.log(2)
    cost = sum(entry["prompt_tokens"] * INPUT_USD + entry["completion_tokens"] * OUTPUT_USD for entry in entries)
    balance = json.loads(scalix(gateway, "user", "balance", user, "--json").stdout)
    assert balance["balance_usd"] == pytest.approx(0.05 - cost, abs=2e-9)
    assert balance["reserved_usd"] == 0

    codes = [bench.post("chat", "words=400").status_code for _ in range(4)]
    assert codes[-1] == 429
    assert 0 <= http.get("/user/balance", params={"user_id": user}).json()["balance_usd"] < 0.05 - cost
    wrong = scalix(gateway, "user", "credit", user, "much", "--id", "x")
    assert (wrong.returncode, "'amount_usd' must be an amount in US dollars" in wrong.stderr) == (1, True)


def document(data: bytes) -> dict[str, object]:
    encoded = base64.b64encode(data).decode()
    return {"type": "file", "file": {"filename": "a", "file_data": f"data:application/pdf;base64,{encoded}"}}


def test_small_files_with_many_pages_never_take_a_prepaid_balance_below_zero(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> None:
    """A file of a kilobyte that names one page a hundred times costs what a hundred pages cost."""
    user = new_user("prepaid")
    credit = {"user_id": user, "amount_usd": 3, "credit_id": "first"}
    assert http.post("/user/credit", json=credit).status_code == 200
    many_pages, one_page = files.pdf(100), files.pdf(1)
    assert len(many_pages) < 1_200

    def ask(data: bytes, pages: int) -> int:
        text = {"type": "text", "text": f"{marker} [[demo words=1 prompt_tokens={pages * 7_784}]]"}
        body = {"model": "gpt-4", "user": user, "max_tokens": 16}
        messages = [{"role": "user", "content": [text, document(data)]}]
        return http.post("/v1/chat/completions", json={**body, "messages": messages}).status_code

    with ThreadPoolExecutor(30) as pool:
        refused = list(pool.map(lambda _: ask(many_pages, 100), range(30)))
        balance = http.get("/user/balance", params={"user_id": user}).json()
        assert (set(refused), balance["balance_usd"]) == ({429}, 3)
        served = list(pool.map(lambda _: ask(one_page, 1), range(30)))
    assert set(served) == {200, 429}
    assert 0 <= http.get("/user/balance", params={"user_id": user}).json()["balance_usd"] < 1


def test_media_whose_size_can_not_be_told_are_refused_where_tokens_are_limited(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> None:
    user = new_user("prepaid")
    credit = {"user_id": user, "amount_usd": 3, "credit_id": "first"}
    assert http.post("/user/credit", json=credit).status_code == 200
    odd = [
        document(files.pdf(1).replace(b"/Root", b"/Encrypt 9 0 R/Root")),
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(b"#!AMR\n\x04").decode(), "format": "amr"}},
    ]
    for part in odd:
        body = {"model": "gpt-4", "user": user, "messages": [{"role": "user", "content": [part]}]}
        answer = http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["param"].startswith("messages[0].content[0].")
        assert "prepaid balance" in answer.json()["error"]["message"]
