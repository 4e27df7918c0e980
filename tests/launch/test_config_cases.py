"""LiteLLM configs as people write them: each is taken as it is, and what is different here is said."""

from pathlib import Path

import pytest

from scalix.domain.tokens.families import family_of
from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.config.included import load_config
from scalix.launch.litellm.kinds import Kind
from scalix.launch.litellm.sections import JUDGED, SECTIONS, TABLES, is_price
from scalix.launch.problems import LaunchError
from tests.launch.config_cases import CONFIGS, REFUSED, REFUSED_IN_PRODUCTION, config_at, dummies

TAKEN = [name for name in CONFIGS if name != REFUSED]


def read(tmp_path: Path, name: str, *, demo: bool, production: bool = False) -> GatewayConfig:
    return read_config(config_at(tmp_path, name), dummies(name), demo=demo, production=production)


def test_the_corpus_is_whole() -> None:
    assert len(CONFIGS) == 26


@pytest.mark.parametrize("name", TAKEN)
def test_a_config_as_it_is_serves_its_models_with_the_demo_provider(tmp_path: Path, name: str) -> None:
    config = read(tmp_path, name, demo=True)
    assert config.policy.models
    assert {"free", "pro", "premium"} == set(config.policy.tiers)
    assert "fallback" not in str(config.litellm)


@pytest.mark.parametrize("name", TAKEN)
def test_no_setting_of_a_config_is_without_effect_or_word(tmp_path: Path, name: str) -> None:
    path = config_at(tmp_path, name)
    data = load_config(path, []).data
    config = read_config(path, dummies(name), demo=True)
    said = "\n".join((*config.translated, *config.warnings))
    places = [("", key, SECTIONS) for key in data]
    places += [(section, key, TABLES[section]) for section in JUDGED for key in data.get(section) or {}]
    params = [model["litellm_params"] for model in data["model_list"]]
    places += [("litellm_params", key, TABLES["model_list.litellm_params"]) for one in params for key in one]
    values = {**data, **{key: value for one in params for key, value in one.items()}}
    for section in JUDGED:
        values.update(data.get(section) or {})
    unsaid = []
    for section, key, table in places:
        kind = table[key].kind if key in table else Kind.HONOURED if is_price(key) else None
        is_told = kind is not Kind.HONOURED and values[key] not in (None, False, "", [], {})
        if is_told and key not in ("metadata", "master_key", "base_url", "default_fallbacks") and key not in said:
            unsaid.append(f"{section}.{key}")
    assert unsaid == []


def test_the_misspelt_one_is_refused_and_each_mistake_named_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(LaunchError) as caught:
        read(tmp_path, REFUSED, demo=True)
    fixes = [problem.fix for problem in caught.value.problems]
    assert fixes == ["write 'api_key'", "write 'litellm_settings'", "write 'fallbacks'"]


def test_plain_secrets_are_a_warning_in_development_and_refused_in_production(tmp_path: Path) -> None:
    warned = [line for line in read(tmp_path, REFUSED_IN_PRODUCTION, demo=False).warnings if "plain text" in line]
    assert len(warned) == 3
    with pytest.raises(LaunchError) as caught:
        read(tmp_path, REFUSED_IN_PRODUCTION, demo=False, production=True)
    assert [str(problem) for problem in caught.value.problems] == warned


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "04-vertex.yaml",
            "gemini-pro is left out: vertex_ai needs a package that is not installed; run: pip install google-auth",
        ),
        ("06-slashes-many-providers.yaml", "zhipu/glm is left out: LiteLLM has no provider 'zhipu'"),
        ("10-budgets-and-header.yaml", "picture is left out: models of mode image_generation are not served"),
        (
            "11-azure.yaml",
            "files_settings: without effect here: files, batches and fine tuning are not served",
        ),
        ("24-kinds-of-models.yaml", "rank is left out: models of mode rerank are not served"),
    ],
)
def test_what_can_not_be_reached_is_left_out_with_the_remedy(tmp_path: Path, name: str, words: str) -> None:
    assert words in "\n".join(read(tmp_path, name, demo=False).warnings)


def test_a_star_serves_providers_whose_keys_are_set_and_none_at_an_address_of_this_machine(tmp_path: Path) -> None:
    path = config_at(tmp_path, "14-star.yaml")
    master = {"LITELLM_MASTER_KEY": dummies("14-star.yaml")["LITELLM_MASTER_KEY"]}

    def providers(**values: str) -> set[str]:
        return {model.provider for model in read_config(path, {**master, **values}).policy.models.values()}

    assert providers() == set()
    assert providers(ANTHROPIC_API_KEY="your_key_here") == set()  # a placeholder
    anthropic = read_config(path, {**master, "ANTHROPIC_API_KEY": "canary-a-0123456789abcdef"}).policy.models
    assert "claude-opus-4-6" in anthropic
    assert "anthropic/claude-opus-4-6" in anthropic
    assert not [name for name in anthropic if "claude" not in name]
    local = {
        "ollama",
        "ollama_chat",
        "lm_studio",
        "hosted_vllm",
        "vllm",
        "xinference",
        "llamafile",
        "docker_model_runner",
    }
    assert not local & {model.provider for model in read(tmp_path, "14-star.yaml", demo=True).policy.models.values()}
    assert not any(name.startswith(tuple(f"{one}/" for one in local)) for name in anthropic)


def test_where_all_models_are_left_out_for_another_reason_no_key_is_asked_for(tmp_path: Path) -> None:
    warnings = read(tmp_path, "04-vertex.yaml", demo=False).warnings
    assert "no model is in service: the lines above say why; mend that, or start with --demo" in warnings


def test_names_prices_and_kinds_are_found_where_litellm_finds_them(tmp_path: Path) -> None:
    nova = read(tmp_path, "03-bedrock-names-with-spaces.yaml", demo=False).policy.models
    assert nova["Amazon Nova Pro"].prices
    assert read(tmp_path, "20-claude-on-others.yaml", demo=False).policy.aliases == {
        "claude-haiku-4-5": "claude-sonnet-4-6"
    }
    assistant = read(tmp_path, "12-model-from-env.yaml", demo=False).policy.models["assistant"]
    assert (assistant.provider_model, bool(assistant.prices)) == ("openai/gpt-5-mini", True)
    # A deployment of a free name is counted and priced as the model behind it.
    mini = read(tmp_path, "11-azure.yaml", demo=False).policy.models["gpt-4o-mini"]
    assert (mini.provider_model, bool(mini.prices), mini.provider) == ("azure/gpt-4o-mini", True, "azure")
    assert family_of(mini.provider_model).encoding == "o200k_base"
    # A model of embeddings needs no price for answers, not even in production.
    kinds = read(tmp_path, "24-kinds-of-models.yaml", demo=False, production=True).policy.models
    assert list(kinds) == ["embed", "gpt-5-mini"]
