"""What the checks share: their own users, chat requests, and expectations of answers."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scalix.cli.checks.report import Failed, Report, Skipped, passes
from scalix.launch.http_client import MODEL_TIMEOUT_S, Answer, Client, NoAnswer

# Cheapest first: a real provider may be behind them.
CHEAP_MODELS = ("free-gemini-flash", "free-deepseek-chat", "free-wizardlm", "free-gemini-pro")
PRO_MODEL = "scalix-engine"
CHAT_MAX_TOKENS = 32
# Every window turns over at the turn of a minute.
MINUTE_S, HOUR_S = 60, 3_600
# Clocks this near count as one: the Date header has whole seconds and may be one second old.
SAME_CLOCK_S = 2.5
MOST_WAIT_IN_FLIGHT_S = 5.0


@dataclass
class Bench:
    """One run of checks. `users` are those not removed yet; `skew_s` is how far the gateway's clock is ahead."""

    client: Client
    report: Report
    users: list[str] = field(default_factory=list)
    skew_s: float = 0.0

    def new_user(self, tier: str) -> str:
        """Make a user of `tier`. Raises `Failed`, and `Skipped` where there is no such tier."""
        name = f"diagnose-{secrets.token_hex(6)}"
        # Noted first: an interruption must not leave the user behind.
        self.users.append(name)
        answer = self.client.post("/user/new", {"user_id": name, "tier": tier, "auto_create_key": False})
        if answer.status == 400 and answer.field("error", "param") == "tier":
            raise Skipped(f"the gateway has no tier {tier}: {answer.told}")
        passes(answer.status == 200, answer.told)
        return name

    def remove_users(self) -> str:
        """Remove the users that were made. Raises `Failed`, which says why some are left."""
        gone, left = 0, {}
        for name in self.users:
            try:
                self._wait_for_requests_in_flight(name)
                answer = self.client.post("/user/delete", {"user_ids": [name]})
            except NoAnswer as error:
                left[name] = f"no answer: {error}"
                continue
            if answer.status == 200 or answer.code == "user_not_found":
                gone += 1
            else:
                left[name] = answer.told
        self.users = list(left)
        why = ", ".join(f"{name} ({seen})" for name, seen in left.items())
        return passes(not left, f"{gone} removed, not: {why}" if left else f"{gone} removed")

    def _wait_for_requests_in_flight(self, user: str) -> None:
        """Wait until no request of the user runs: one that ends after the removal would bring the user back."""
        end_s = time.monotonic() + MOST_WAIT_IN_FLIGHT_S
        while time.monotonic() < end_s:
            if not self.client.get(f"/user/info?user_id={quote(user)}").field("usage", "in_flight_requests"):
                return
            time.sleep(0.1)

    def info(self, user: str) -> dict[str, Any]:
        """A user's record, use and limits. Raises `Failed`."""
        answer = self.client.get(f"/user/info?user_id={quote(user)}")
        well_formed = isinstance(answer.field("usage"), dict) and isinstance(answer.field("limits"), list)
        passes(answer.status == 200 and well_formed, f"/user/info answered {answer.told}")
        return dict(answer.json)

    def models(self, user: str | None = None) -> list[str]:
        """The models that a user may use, or with `None` those in service. Raises `Failed`."""
        answer = self.client.get(f"/v1/models?user={quote(user)}" if user else "/v1/models")
        try:
            return [str(model["id"]) for model in answer.json["data"]]
        except (KeyError, TypeError):
            raise Failed(f"/v1/models answered {answer.told}") from None

    def chat(self, user: str, model: str, *, max_tokens: int = CHAT_MAX_TOKENS, stream: bool = False) -> Answer:
        """One chat request charged to `user`. Raises `NoAnswer`."""
        body = chat_body(user, model, max_tokens) | ({"stream": True} if stream else {})
        return self.client.post("/v1/chat/completions", body, timeout_s=MODEL_TIMEOUT_S)

    def clock(self, answer: Answer) -> tuple[float, float]:
        """The earliest and the latest Unix time, by the gateway's clock, at which it may have answered."""
        if abs(self.skew_s) <= SAME_CLOCK_S:
            return answer.sent_s, answer.received_s
        return answer.sent_s + self.skew_s - 1.5, answer.received_s + self.skew_s + 1.5

    def in_one_window(self, window_s: int, look: Callable[[], str]) -> str:
        """What `look` saw. It is called again if it failed while one window of `window_s` ended and the next began."""
        before = self.client.get("/health/liveliness", with_key=False)
        try:
            return look()
        except Failed:
            after = self.client.get("/health/liveliness", with_key=False)
            if self.clock(before)[0] // window_s == self.clock(after)[1] // window_s:
                raise
        return look()


def chat_body(user: str, model: str, max_tokens: int) -> dict[str, Any]:
    """The body of a short chat request."""
    message = {"role": "user", "content": "Say hello."}
    return {"model": model, "user": user, "max_tokens": max_tokens, "messages": [message]}


def cheapest(models: list[str]) -> str:
    """The cheapest of a caller's models. Raises `Failed` when there is none."""
    if not models:
        raise Failed("no model in service; set a provider's key, or start the gateway with --demo")
    return next((name for name in CHEAP_MODELS if name in models), models[0])


def expect(answer: Answer, status: int, code: str | None = None) -> Answer:
    """The answer, if it has this status and error code. Raises `Failed`, and says so if a provider failed."""
    if answer.code == "provider_unavailable" and code != answer.code:
        raise Failed(f"the provider failed, not the gateway ({answer.told}); see to its key and its status, then retry")
    passes(answer.status == status and code in (None, answer.code), answer.told)
    return answer


def counted_models(models: list[str]) -> str:
    """The number and the names of models: `2 models (a, b)`."""
    return f"{len(models)} model{'' if len(models) == 1 else 's'} ({', '.join(models)})"


def expect_limits_in_headers(answer: Answer, info: dict[str, Any]) -> str:
    """Compare an answer's rate-limit headers with the limits of `info`, read after it. Raises `Failed`."""
    tier = answer.headers.get("x-scalix-tier")
    passes(tier == info.get("tier"), f"x-scalix-tier {tier}, while /user/info says {info.get('tier')}")
    said = []
    for metric in ("requests", "tokens"):
        known = {
            (str(entry["limit_value"]), str(entry["remaining"]))
            for entry in info["limits"]
            if str(entry["limit"]).startswith(f"{metric}-")
        }
        limit, remaining = (answer.headers.get(f"x-ratelimit-{word}-{metric}") for word in ("limit", "remaining"))
        if known and (limit, remaining) not in known:
            listed = ", ".join(f"{left} of {value}" for value, left in sorted(known))
            raise Failed(f"x-ratelimit headers say {remaining} of {limit} {metric} left, /user/info says {listed}")
        if known:
            said.append(f"{remaining} of {limit} {metric} left")
    return f"tier {tier}, {' and '.join(said) or 'no limits'}"
