"""`--test pro`: what the pro tier adds, and that a change of tier holds at once."""

from dataclasses import dataclass, field

from scalix.cli.checks.bench import (
    MINUTE_S,
    PRO_MODEL,
    Bench,
    cheapest,
    counted_models,
    expect,
    expect_limits_in_headers,
)
from scalix.cli.checks.report import Skipped, passes


@dataclass
class ProChecks:
    """The checks in their order. `user` is one of tier pro."""

    bench: Bench
    user: str = ""
    models: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Run them all."""
        check = self.bench.report.check
        if not check("pro", "new user", "200 from POST /user/new", self._new_user):
            return
        if not check("pro", "models listed", "at least one model", self._models):
            return
        check("pro", PRO_MODEL, "200 for a pro user", self._pro_model)
        limits = "the limits of tier pro from /user/info in the headers"
        check("pro", "limits", limits, lambda: self.bench.in_one_window(MINUTE_S, self._limits))
        check("pro", "free to pro", "/user/update holds on the very next call", self._upgrade)

    def _new_user(self) -> str:
        self.user = self.bench.new_user("pro")
        return f"200, {self.user}"

    def _models(self) -> str:
        self.models = self.bench.models(self.user)
        cheapest(self.models)
        return counted_models(self.models)

    def _pro_model(self) -> str:
        answer = self.bench.chat(self.user, PRO_MODEL)
        if answer.code == "model_not_found":
            raise Skipped(f"{PRO_MODEL} is not in service here (404): set its URL and key, or start with --demo")
        tokens = expect(answer, 200).field("usage", "total_tokens")
        return f"200, {tokens} tokens"

    def _limits(self) -> str:
        answer = expect(self.bench.chat(self.user, cheapest(self.models)), 200)
        info = self.bench.info(self.user)
        passes(info.get("tier") == "pro", f"/user/info says tier {info.get('tier')}")
        return f"200, {expect_limits_in_headers(answer, info)}"

    def _upgrade(self) -> str:
        user = self.bench.new_user("free")
        mine = self.bench.models(user)
        pro_only = [name for name in self.models if name not in mine]
        if pro_only:
            model = PRO_MODEL if PRO_MODEL in pro_only else pro_only[0]
            expect(self.bench.chat(user, model), 403, "model_not_allowed")
            before = f"403 for {model}"
        else:
            # No model tells the tiers apart, so the header must.
            model = cheapest(mine)
            tier = expect(self.bench.chat(user, model), 200).headers.get("x-scalix-tier")
            passes(tier == "free", f"x-scalix-tier {tier} before the update")
            before = f"x-scalix-tier {tier}"
        expect(self.bench.client.post("/user/update", {"user_id": user, "tier": "pro"}), 200)
        answer = expect(self.bench.chat(user, model), 200)
        tier = answer.headers.get("x-scalix-tier")
        passes(tier == "pro", f"200 with x-scalix-tier {tier} after the update")
        return f"{before}, after the update 200 with x-scalix-tier {tier}"
