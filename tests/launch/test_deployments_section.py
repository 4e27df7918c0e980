"""Several entries of one `model_name`: what each is called, its share, its place, and what it costs."""

from pathlib import Path

import pytest

from scalix.domain.deployments import STRATEGIES, Deployment
from scalix.launch.config.config_file import GatewayConfig
from scalix.launch.config.policy_file import read_policy, write_policy
from tests.launch.config_text import KEYS, MODELS, TIERS, problems_of, read

PRICED = "input_cost_per_token: {0}, output_cost_per_token: {0}"


def several(tmp_path: Path, *params: str, info: str = "") -> GatewayConfig:
    """A config with a model `m` of so many deployments. `info` is the last one's `model_info`."""
    entries = [f"  - model_name: m\n    litellm_params: {{model: openai/m, api_key: k, {one}}}\n" for one in params]
    entries[-1] += f"    model_info: {{{info}}}\n"
    return read(tmp_path, MODELS + "".join(entries) + TIERS)


def deployments(config: GatewayConfig) -> tuple[Deployment, ...]:
    return config.policy.models["m"].deployments


def test_each_has_an_id_by_which_litellm_knows_it_too(tmp_path: Path) -> None:
    config = several(tmp_path, "weight: 1", "weight: 1", "weight: 1", info="id: mine")
    assert [one.id for one in deployments(config)] == ["m#1", "m#2", "mine"]
    told = [entry.get("model_info", {}).get("id") for entry in config.litellm["model_list"]]
    assert told == [None, None, "m#1", "m#2", "mine"]


def test_a_model_with_one_has_none_and_litellm_is_told_what_it_was(tmp_path: Path) -> None:
    config = read(tmp_path, MODELS + TIERS)
    assert [model.deployments for model in config.policy.models.values()] == [(), ()]
    assert not any("model_info" in entry for entry in config.litellm["model_list"])


@pytest.mark.parametrize("setting", ["enable_tag_filtering: true", "optional_pre_call_checks: [prompt_caching]"])
def test_where_litellms_router_has_rules_of_its_own_it_chooses(setting: str, tmp_path: Path) -> None:
    text = "  - {model_name: m, litellm_params: {model: openai/m, api_key: k}}\n" * 2
    config = read(tmp_path, f"router_settings: {{{setting}}}\n" + MODELS + text + TIERS)
    assert config.policy.models["m"].deployments == ()
    assert not any("model_info" in entry for entry in config.litellm["model_list"])


def test_one_that_can_not_be_served_leaves_the_others_their_ids(tmp_path: Path) -> None:
    text = "".join(
        f"  - model_name: m\n    litellm_params: {{model: openai/m, api_key: {key}}}\n"
        for key in ("os.environ/NOT_SET", "k")
    )
    config = read(tmp_path, MODELS + text + TIERS, KEYS)
    assert [one.id for one in deployments(config)] == ["m#2"]


def test_shares_are_by_weight_else_by_rpm_else_by_tpm_as_in_litellm(tmp_path: Path) -> None:
    for params, weights in (
        (("weight: 3", "weight: 2", "weight: 1"), [3, 2, 1]),
        (("weight: 3", "timeout: 5"), [3, 0]),
        (("rpm: 300, tpm: 1", "rpm: 100"), [300, 100]),
        (("tpm: 10", "tpm: 20"), [10, 20]),
        (("timeout: 5", "timeout: 5"), [1, 1]),
    ):
        assert [one.weight for one in deployments(several(tmp_path, *params))] == weights


def test_limits_are_ours_whether_a_model_has_one_deployment_or_several(tmp_path: Path) -> None:
    config = several(tmp_path, "rpm: 300, tpm: 1000", "timeout: 5")
    assert [(one.rpm, one.tpm) for one in deployments(config)] == [(300, 1000), (None, None)]
    alone = several(tmp_path, "rpm: 300", info="tpm: 1000")
    model = alone.policy.models["m"]
    assert (model.rpm, model.tpm, model.deployments) == (300, 1000, ())
    assert model.unpriced() != several(tmp_path, "rpm: 400", info="tpm: 1000").policy.models["m"].unpriced()
    for made in (config, alone):
        assert "rpm" not in str(made.litellm)
        assert any("litellm_params.rpm of 'm'" in line for line in made.translated)
        assert not [line for line in made.warnings if "rpm" in line]


def test_limits_that_nobody_holds_are_said_to_be_without_effect(tmp_path: Path) -> None:
    wildcard = "  - {model_name: openai/*, litellm_params: {model: openai/*, api_key: k, rpm: 5}}\n"
    two = "  - {model_name: m, litellm_params: {model: openai/m, api_key: k, rpm: 5}}\n" * 2
    for text in (MODELS + wildcard, "router_settings: {enable_tag_filtering: true}\n" + MODELS + two):
        config = read(tmp_path, text + TIERS)
        assert "rpm" not in str(config.litellm)
        assert any("litellm_params.rpm: without effect here" in line for line in config.warnings)
        assert not [model for model in config.policy.models.values() if model.is_limited]


def test_those_with_an_order_come_before_those_without(tmp_path: Path) -> None:
    first, second, third = deployments(several(tmp_path, "order: 2", "timeout: 5", "order: 1"))
    assert third.order < first.order < second.order


def test_each_has_its_own_price_and_the_model_the_dearest_and_a_worker_reads_all_of_it(tmp_path: Path) -> None:
    config = several(tmp_path, PRICED.format(0.000001), PRICED.format(0.000003))
    write_policy(tmp_path / "policy.json", 1, config.policy)
    for policy in (config.policy, read_policy(tmp_path / "policy.json")[1]):
        model = policy.models["m"]
        assert [dict(one.prices[0].rates)["input_cost_per_token"] for one in model.deployments] == [10**12, 3 * 10**12]
        assert dict(model.prices[0].rates)["input_cost_per_token"] == 3 * 10**12


def test_prices_of_the_section_hold_for_every_deployment(tmp_path: Path) -> None:
    text = "  - {model_name: m, litellm_params: {model: openai/m, api_key: k}}\n" * 2
    prices = "  prices: {models: {m: [{input_usd_per_million: 5, output_usd_per_million: 6}]}}\n"
    model = read(tmp_path, MODELS + text + TIERS + prices).policy.models["m"]
    assert [one.prices for one in model.deployments] == [model.prices] * 2


def test_new_prices_of_deployments_alone_are_no_other_model(tmp_path: Path) -> None:
    one, two = (
        several(tmp_path, PRICED.format(0.000001), PRICED.format(usd)).policy.models["m"]
        for usd in (0.000003, 0.000004)
    )
    assert one != two
    assert one.unpriced() == two.unpriced()
    assert one.unpriced() != several(tmp_path, "weight: 2", "weight: 1").policy.models["m"].unpriced()


def strategy_of(tmp_path: Path, name: str) -> tuple[str, object]:
    config = read(tmp_path, f"router_settings: {{routing_strategy: {name}}}\n" + MODELS + TIERS)
    return config.policy.routing_strategy, config.litellm["router_settings"]["routing_strategy"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_routing_strategy_is_ours_and_litellm_is_told(name: str, tmp_path: Path) -> None:
    assert strategy_of(tmp_path, name) == (name, name)


def test_weighted_round_robin_is_a_name_for_shares_by_weight(tmp_path: Path) -> None:
    assert strategy_of(tmp_path, "weighted_round_robin") == ("simple-shuffle", "simple-shuffle")


def test_a_strategy_that_nobody_knows_is_a_problem_with_the_names_that_there_are(tmp_path: Path) -> None:
    text = "router_settings: {routing_strategy: least_busy}\n" + MODELS + TIERS
    (problem,) = problems_of(tmp_path, text)
    assert "'least_busy' is no way to choose a deployment" in problem.what
    assert "least-busy" in problem.fix
