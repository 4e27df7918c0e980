"""The environment in layers, and the settings that come out of it."""

from pathlib import Path

import pytest

from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.cores import default_workers
from scalix.launch.settings.environment import Environment, Settings, load_environment, resolve_settings

GOOD_KEY = "sk-" + "5f" * 32


def settings_of(tmp_path: Path, values: dict[str, str], **options: object) -> Settings:
    return resolve_settings(load_environment(tmp_path, values), root=tmp_path, **options)


def problems_of(tmp_path: Path, values: dict[str, str], **options: object) -> tuple[Problem, ...]:
    with pytest.raises(LaunchError) as caught:
        settings_of(tmp_path, values, **options)
    return caught.value.problems


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_layer_wins_over_those_after_it(tmp_path: Path) -> None:
    write(tmp_path / ".env", "A=dotenv\nB=dotenv\nC=dotenv\nD=dotenv\n")
    write(tmp_path / "scalix_config.env", "A=common\nB=common\nC=common\n")
    write(tmp_path / "scalix_config.staging.env", "A=staging\nB=staging\n")

    environment = load_environment(tmp_path, {"A": "real", "SCALIX_ENV": "staging"})

    assert [environment.values[name] for name in "ABCD"] == ["real", "staging", "common", "dotenv"]
    assert [path.name for path in environment.sources] == ["scalix_config.staging.env", "scalix_config.env", ".env"]
    assert environment.scalix_env == "staging"


def test_the_environment_may_be_chosen_in_the_common_file(tmp_path: Path) -> None:
    write(tmp_path / "scalix_config.env", "SCALIX_ENV=production\n")
    write(tmp_path / "scalix_config.production.env", "A=production\n")
    environment = load_environment(tmp_path, {})
    assert (environment.scalix_env, environment.values["A"]) == ("production", "production")
    assert environment.values["SCALIX_ENV"] == "production"


def test_a_given_env_file_stands_alone(tmp_path: Path) -> None:
    write(tmp_path / ".env", "A=dotenv\nB=dotenv\n")
    own = write(tmp_path / "own.env", "A=own\n")
    environment = load_environment(tmp_path, {}, own)
    assert environment.values["A"] == "own"
    assert "B" not in environment.values
    assert environment.sources == (own,)


def test_without_files_the_real_environment_is_all(tmp_path: Path) -> None:
    environment = load_environment(tmp_path, {"A": "1"})
    assert dict(environment.values) == {"A": "1", "SCALIX_ENV": "development"}
    assert environment.sources == ()


def test_values_stand_as_written(tmp_path: Path) -> None:
    write(tmp_path / ".env", "\ufeffexport A=pa$$ ${B} word\nB='x # y'\nC=\"two\\nlines\" # comment\n\nD=1\r\nE=\n")
    values = load_environment(tmp_path, {}).values
    assert [values[name] for name in "ABCDE"] == ["pa$$ ${B} word", "x # y", "two\nlines", "1", ""]


def test_a_missing_env_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(
        LaunchError, match=r"none\.env: the env file does not exist; correct the path given to --env-file"
    ):
        load_environment(tmp_path, {}, tmp_path / "none.env")


def test_a_directory_or_binary_file_as_env_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="can't be read"):
        load_environment(tmp_path, {}, tmp_path)
    (tmp_path / "binary.env").write_bytes(b"A=\xff\xfe\n")
    with pytest.raises(LaunchError, match="not UTF-8"):
        load_environment(tmp_path, {}, tmp_path / "binary.env")


def test_a_directory_that_is_called_dotenv_is_nobodys_file(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert load_environment(tmp_path, {}).sources == ()


def test_bad_lines_are_named_and_not_repeated(tmp_path: Path) -> None:
    write(tmp_path / ".env", "A=1\n\nOPENAI_API_KEY\n  'sk-canary-in-a-bad-line\nB=2\n")
    with pytest.raises(LaunchError) as caught:
        load_environment(tmp_path, {})
    lines = [str(problem) for problem in caught.value.problems]
    assert ".env:3: OPENAI_API_KEY has no value; write OPENAI_API_KEY=value" in lines[0]
    assert ".env:4: this line is not an assignment" in lines[1]
    assert "canary" not in "".join(lines)


@pytest.mark.parametrize(
    "line",
    [
        "B_KEY='sk-canary\nC_KEY=2\n",
        "B_KEY='sk-canary\nC_KEY='two'\nD_KEY=3\n",
        'B_KEY="sk-canary\nC_KEY="two"\n',
        "export B_KEY='sk-canary\nC_KEY='\nD_KEY=3\n",
        'B_KEY="sk-canary\n\n# comment\nC_KEY=x "\n',
    ],
)
def test_a_quote_without_an_end_is_told_at_its_own_line(tmp_path: Path, line: str) -> None:
    write(tmp_path / ".env", f"A=1\n{line}")
    with pytest.raises(LaunchError) as caught:
        load_environment(tmp_path, {})
    (problem,) = caught.value.problems
    assert str(problem).endswith(".env:2: the quote that begins here has no end; write it, or no quote at all")


def test_a_value_may_have_several_lines_and_a_line_be_wrong_for_another_reason(tmp_path: Path) -> None:
    key = "-----BEGIN KEY-----\nMIIabc+/=\nabcd==\n-----END KEY-----"
    write(tmp_path / ".env", f"PEM_KEY='{key}'\nE=\"it's\"\n")
    assert load_environment(tmp_path, {}).values["PEM_KEY"] == key
    write(tmp_path / ".env", "A='x' y\n")
    with pytest.raises(LaunchError, match="this line is not an assignment"):
        load_environment(tmp_path, {})


@pytest.mark.parametrize("word", ["produktion", "PRODUCTION", "Production"])
def test_an_unknown_environment_gets_the_nearest_known_one(tmp_path: Path, word: str) -> None:
    with pytest.raises(LaunchError, match="write SCALIX_ENV=production"):
        load_environment(tmp_path, {"SCALIX_ENV": word})


def test_the_defaults_need_nothing(tmp_path: Path) -> None:
    assert settings_of(tmp_path, {}) == Settings(
        host="127.0.0.1",
        port=4000,
        workers=default_workers(),
        log_level="INFO",
        log_file=tmp_path / "logs/litellm.log",
        state_dir=tmp_path / ".scalix",
        config_path=tmp_path / "litellm_proxy_config.yaml",
        redis_url=None,
        master_key=None,
        scalix_env="development",
    )


def test_variables_are_read_and_options_are_stronger(tmp_path: Path) -> None:
    values = {
        "LITELLM_HOST": "0.0.0.0",
        "LITELLM_PORT": "4100",
        "LITELLM_MAX_WORKERS": "3",
        "LITELLM_LOG_LEVEL": "warning",
        "LITELLM_LOG_FILE": "/var/log/gateway.log",
        "SCALIX_STATE_DIR": "state",
        "SCALIX_CONFIG": "other.yaml",
        "LITELLM_MASTER_KEY": GOOD_KEY,
        "SCALIX_STREAM_JOIN_MS": "0",
    }
    read = settings_of(tmp_path, values)
    assert read.stream_join_ms == 0
    assert (read.host, read.port, read.workers, read.log_level) == ("0.0.0.0", 4100, 3, "WARNING")
    assert (read.log_file, read.state_dir) == (Path("/var/log/gateway.log"), tmp_path / "state")
    assert (read.config_path, read.master_key) == (tmp_path / "other.yaml", GOOD_KEY)

    told = settings_of(tmp_path, values, host="::1", port=4200, workers=2, config=tmp_path / "x.yaml", demo=True)
    assert (told.host, told.port, told.workers, told.config_path) == ("::1", 4200, 2, tmp_path / "x.yaml")


def test_empty_variables_are_as_if_unset(tmp_path: Path) -> None:
    names: tuple[str, ...] = (
        "LITELLM_HOST",
        "LITELLM_PORT",
        "LITELLM_MAX_WORKERS",
        "LITELLM_LOG_LEVEL",
        "LITELLM_LOG_FILE",
        "DEBUG_MODE",
    )
    names += (
        "LITELLM_MASTER_KEY",
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_PASSWORD",
        "REDIS_SSL",
        "SCALIX_ENV",
    )
    assert settings_of(tmp_path, dict.fromkeys(names, "")) == settings_of(tmp_path, {})


@pytest.mark.parametrize("word", ["true", "1", "YES", "on"])
def test_debug_mode_sets_the_log_level(tmp_path: Path, word: str) -> None:
    read = settings_of(tmp_path, {"DEBUG_MODE": word, "LITELLM_LOG_LEVEL": "INFO"})
    assert read.log_level == "DEBUG"


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("LITELLM_PORT", "70000", "LITELLM_PORT=4000"),
        ("LITELLM_PORT", "0", "LITELLM_PORT=4000"),
        ("LITELLM_PORT", "4000.0", "LITELLM_PORT=4000"),
        ("LITELLM_PORT", "-1", "LITELLM_PORT=4000"),
        ("LITELLM_PORT", "9" * 30, "LITELLM_PORT=4000"),
        ("LITELLM_PORT", "\u0664", "LITELLM_PORT=4000"),
        ("LITELLM_MAX_WORKERS", "many", f"LITELLM_MAX_WORKERS={default_workers()}"),
        ("SCALIX_STREAM_JOIN_MS", "1001", "SCALIX_STREAM_JOIN_MS=100"),
        ("SCALIX_STREAM_JOIN_MS", "0.1", "SCALIX_STREAM_JOIN_MS=100"),
        ("LITELLM_HOST", "http://localhost", "LITELLM_HOST=127.0.0.1"),
        ("LITELLM_HOST", "localhost:4000", "LITELLM_HOST=127.0.0.1"),
        ("LITELLM_LOG_LEVEL", "DEBG", "LITELLM_LOG_LEVEL=DEBUG"),
        ("DEBUG_MODE", "maybe", "DEBUG_MODE=true"),
        ("REDIS_SSL", "maybe", "REDIS_SSL=true"),
    ],
)
def test_a_bad_value_is_named_with_its_variable_and_line(tmp_path: Path, name: str, value: str, fix: str) -> None:
    write(tmp_path / ".env", f"# comment\n{name}={value}\n")
    (problem,) = problems_of(tmp_path, {})
    assert problem.where.endswith(".env:2")
    assert name in problem.what
    assert fix in problem.fix


def test_all_bad_values_are_reported_at_once(tmp_path: Path) -> None:
    values = {"LITELLM_PORT": "x", "DEBUG_MODE": "x", "REDIS_HOST": "h", "REDIS_PORT": "x", "LITELLM_LOG_LEVEL": "x"}
    assert len(problems_of(tmp_path, values)) == 4


def test_a_bad_option_is_named_as_an_option(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, {"LITELLM_PORT": "4000"}, port=99999)
    assert str(problem) == ("command line: --port is not a whole number from 1 to 65535; write for example --port 4000")


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, None),
        ({"REDIS_URL": "redis://cache:6379/0"}, "redis://cache:6379/0"),
        ({"REDIS_URL": "rediss://u:p%40@cache/2?ssl_cert_reqs=none"}, "rediss://u:p%40@cache/2?ssl_cert_reqs=none"),
        ({"REDIS_URL": "redis://a:1,b/0", "REDIS_PASSWORD": "p,@"}, "redis://:p%2C%40@a:1,b/0"),
        ({"REDIS_URL": "rediss://:o,wn@a,[::1]:2"}, "rediss://:o,wn@a,[::1]:2"),
        ({"REDIS_URL": "unix:///run/redis.sock"}, "unix:///run/redis.sock"),
        ({"REDIS_URL": "redis://cache", "REDIS_PASSWORD": "p@s/s"}, "redis://:p%40s%2Fs@cache"),
        ({"REDIS_URL": "redis://:own@cache", "REDIS_PASSWORD": "other"}, "redis://:own@cache"),
        ({"REDIS_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_HOST": "cache", "REDIS_PORT": "6380", "REDIS_DB": "3"}, "redis://cache:6380/3"),
        ({"REDIS_HOST": "cache", "REDIS_PASSWORD": "a/b:c@d%e#f g"}, "redis://:a%2Fb%3Ac%40d%25e%23f%20g@cache:6379/0"),
        ({"REDIS_HOST": "cache", "REDIS_USERNAME": "m e", "REDIS_PASSWORD": "ü"}, "redis://m%20e:%C3%BC@cache:6379/0"),
        ({"REDIS_HOST": "cache", "REDIS_SSL": "true"}, "rediss://cache:6379/0"),
        ({"REDIS_HOST": "::1"}, "redis://[::1]:6379/0"),
        ({"REDIS_PORT": "tcp://10.0.0.7:6379"}, None),
    ],
)
def test_the_redis_variables_make_one_url(tmp_path: Path, values: dict[str, str], url: str | None) -> None:
    assert settings_of(tmp_path, values).redis_url == url


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"REDIS_URL": "redis://:canary/word@cache:port/0"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:can[ary@cache"}, "REDIS_URL"),
        ({"REDIS_URL": "http://:canary@cache"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:canary@cache:99999"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:canary@cache/name"}, "REDIS_URL"),
        ({"REDIS_URL": "cache:6379"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:canary@a,b:port"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:canary@a,,b"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://a,b", "REDIS_HOST": "a"}, "REDIS_URL"),
        ({"REDIS_HOST": "canary,cache"}, "REDIS_HOST"),
        ({"REDIS_URL": "redis://cache", "REDIS_SSL": "true"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://cache", "REDIS_HOST": "other"}, "REDIS_URL"),
        ({"REDIS_HOST": "redis://:canary@cache"}, "REDIS_HOST"),
        ({"REDIS_HOST": "cache", "REDIS_PORT": "tcp://10.0.0.7:6379"}, "REDIS_PORT"),
        ({"REDIS_HOST": "cache", "REDIS_DB": "-1"}, "REDIS_DB"),
        ({"REDIS_PASSWORD": "canary"}, "REDIS_PASSWORD"),
    ],
)
def test_a_bad_redis_variable_is_named_without_its_value(tmp_path: Path, values: dict[str, str], name: str) -> None:
    (problem,) = problems_of(tmp_path, values)
    assert name in problem.what
    assert "canary" not in str(problem)


def test_settings_do_not_show_secrets_when_printed(tmp_path: Path) -> None:
    read = settings_of(tmp_path, {"LITELLM_MASTER_KEY": "sk-canary-canary-1", "REDIS_URL": "redis://:canary@cache"})
    assert "canary" not in repr(read)


@pytest.mark.parametrize("scalix_env", ["staging", "production"])
def test_outside_development_a_master_key_is_needed(tmp_path: Path, scalix_env: str) -> None:
    (problem,) = problems_of(tmp_path, {"SCALIX_ENV": scalix_env})
    assert "LITELLM_MASTER_KEY is not set" in problem.what


@pytest.mark.parametrize(
    "key",
    [
        "sk-scalix-example-key",
        "sk-replace-with-openssl-rand-hex-32",
        "sk-1234",
        "   ",
        "sk-short",
        "sk-with a space-12345",
    ],
)
def test_production_refuses_a_key_that_is_no_secret(tmp_path: Path, key: str) -> None:
    (problem,) = problems_of(tmp_path, {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": key})
    assert "LITELLM_MASTER_KEY" in problem.what
    assert key not in str(problem).replace("LITELLM_MASTER_KEY", "") or not key.strip()


def test_the_key_of_the_example_file_is_refused_in_production(tmp_path: Path) -> None:
    example = (Path(__file__).parents[2] / "scalix_config.env.example").read_text(encoding="utf-8")
    (line,) = [line for line in example.splitlines() if line.startswith("#LITELLM_MASTER_KEY=")]
    values = {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": line.partition("=")[2]}
    assert "everybody" in problems_of(tmp_path, values)[0].what


@pytest.mark.parametrize("key", ["sk-1234", "sk-scalix-dev-123456789", "your_master_key_here", "changeme"])
def test_in_development_a_published_master_key_starts(tmp_path: Path, key: str) -> None:
    assert settings_of(tmp_path, {"LITELLM_MASTER_KEY": key}).master_key == key


@pytest.mark.parametrize(
    ("name", "placeholder"),
    [
        ("SCALIX_METRICS_TOKEN", "your_metrics_token_here"),
        ("SCALIX_AUDIT_KEY", "changeme"),
        ("SCALIX_ENCRYPTION_KEY", "<your key>"),
        ("LITELLM_MASTER_KEY_PREVIOUS", "sk-scalix-dev-123456789"),
    ],
)
def test_production_refuses_every_secret_that_everybody_can_read(tmp_path: Path, name: str, placeholder: str) -> None:
    values = {"SCALIX_ENV": "production", "LITELLM_MASTER_KEY": GOOD_KEY, name: placeholder}
    (problem,) = problems_of(tmp_path, values)
    assert f"{name} is an example that everybody can read" in problem.what
    assert placeholder not in str(problem)


@pytest.mark.parametrize("name", ["SCALIX_METRICS_TOKEN", "SCALIX_AUDIT_KEY", "SCALIX_ENCRYPTION_KEY"])
def test_in_development_a_placeholder_of_an_optional_secret_counts_as_not_set(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / ".env", f"{name}=changeme\n")
    environment = load_environment(tmp_path, {})
    assert name not in environment.values
    (note,) = environment.notes
    what = "is an example that everybody can read, so it counts as not set; write one made by: openssl rand"
    assert f"{file.name}:1: {name} {what}" in note
    assert resolve_settings(environment, root=tmp_path)


@pytest.mark.parametrize(
    ("values", "option", "workers"),
    [
        ({"GUNICORN_WORKERS": "3"}, None, 3),
        ({"GUNICORN_WORKERS": "3", "LITELLM_MAX_WORKERS": "2"}, None, 2),
        ({"GUNICORN_WORKERS": "3", "LITELLM_MAX_WORKERS": "2"}, 5, 5),
        ({"GUNICORN_WORKERS": "3", "LITELLM_MAX_WORKERS": " "}, None, 3),
    ],
)
def test_the_option_and_then_litellms_name_and_then_gunicorns_say_how_many_workers_there_are(
    tmp_path: Path, values: dict[str, str], option: int | None, workers: int
) -> None:
    assert settings_of(tmp_path, values, workers=option).workers == workers


def test_a_wrong_number_of_gunicorn_is_named(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {"GUNICORN_WORKERS": "many"})[0].what.startswith("GUNICORN_WORKERS is not a whole")


def test_production_refuses_an_env_file_that_everybody_can_read(tmp_path: Path) -> None:
    file = write(tmp_path / "scalix_config.env", f"LITELLM_MASTER_KEY={GOOD_KEY}\n")
    file.chmod(0o644)
    assert settings_of(tmp_path, {}).master_key == GOOD_KEY
    (problem,) = problems_of(tmp_path, {"SCALIX_ENV": "production"})
    assert "every user of this machine can read this env file" in problem.what
    assert "chmod 600" in problem.fix
    file.chmod(0o640)
    assert settings_of(tmp_path, {"SCALIX_ENV": "production"}).production


def test_the_example_file_can_be_read_and_its_defaults_are_the_real_ones(tmp_path: Path) -> None:
    example = (Path(__file__).parents[2] / "scalix_config.env.example").read_text(encoding="utf-8")
    kept: tuple[str, ...] = (
        "LITELLM_HOST",
        "LITELLM_PORT",
        "LITELLM_MAX_WORKERS",
        "LITELLM_LOG_LEVEL",
        "LITELLM_LOG_FILE",
        "DEBUG_MODE",
    )
    kept += ("SCALIX_ENV", "SCALIX_STATE_DIR", "SCALIX_CONFIG", "SCALIX_STREAM_JOIN_MS")
    lines = [line[1:] for line in example.splitlines() if line.startswith("#") and line[1:].partition("=")[0] in kept]
    assert len(lines) == len(kept)
    write(tmp_path / ".env", "\n".join(lines))
    assert settings_of(tmp_path, {}) == resolve_settings(Environment({}, (), "development"), root=tmp_path)
