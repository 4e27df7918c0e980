"""What of somebody else's text may be shown, to a client and in a log: one corpus for both."""

import logging

import pytest

from scalix.domain.redaction import without_secrets
from scalix.litellm_adapter.quiet_logs import _OneShortLine

SECRETS = [
    *("10.20.30.40:8000", "10.20.30.40", "[fd00:ec2::254]:80", "fe80:0:0:0:1:2:3:4", "::1", "2001:db8::8a2e:370:7334"),
    *(
        "vllm.default.svc:8000",
        "engine.prod.svc.cluster.local",
        "redis:6379",
        "vllm-0:8000",
        "db.internal",
        "localhost:11434",
    ),
    *("/srv/models/llama/config.json", "/home/deploy/.aws/credentials", "C:\\Users\\deploy\\key.txt"),
    *("AKIAIOSFODNN7EXAMPLE", "arn:aws:iam::123456789012:role/x", "123456789012", "i-0abcd1234ef567890"),
    *("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "sk-proj-canary0123456789", "AIzaSyCanary0123456789"),
    *("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "hf_abcdefghijkl", "org-CANARY0123456789", "ya29.a0AfH6SMBx"),
    *(
        "https://user:pass@host.example/x",
        "http://10.0.0.1/latest/meta-data",
        "ops@canary.example",
        "redis://:pw@host:6379",
    ),
    "-----BEGIN RSA PRIVATE KEY-----\nMIIcanary\n-----END RSA PRIVATE KEY-----",
]
# What stands after a name that says it: the name may stay.
VALUES = {
    "api_key=abcdef": "abcdef",
    "api_key: 'zzz-very'": "zzz-very",
    "password=hunter2": "hunter2",
    "X-Api-Key: q1w2e3r4": "q1w2e3r4",
    'client_secret="s3cr3tvalue"': "s3cr3tvalue",
    "Authorization: Basic dXNlcjpwYXNz": "dXNlcjpwYXNz",
    "Bearer canarycanary1": "canarycanary1",
    "API key provided: c0rrect****horse": "c0rrect",
    "organization 'canary-corp'": "canary-corp",
    "tenant canary-tenant-9": "canary-tenant-9",
    "aws_secret_access_key = wJalrXUtnFEMI": "wJalrXUtnFEMI",
}
ORDINARY = [
    "The field 'temperature' is out of range",
    "max_tokens: 4096 is more than 2048",
    "model openai/gpt-4o-mini at version 1.106.2",
    "claude-3-opus-20240229 was retired on 2026-11-30",
    "time 12:34:56, ratio 3:10",
    "This model's maximum context length is 8192 tokens",
    "messages[0].content[1].type must be one of text, image_url",
    "use std::vector or a::b",
    "POST /v1/chat/completions takes JSON",
    "the token limit is 4096",
    "response_format must be json_schema",
    "Rate limit reached for requests per min (RPM): Limit 3, Used 3",
    "Your API key is not valid",
    "total tokens: 12345",
    "max_completion_tokens=100000",
    "The account is not active",
    "invalid 'input[3].call_id'",
    "top_p=0.95, seed: 42",
    "the project manager and the key point",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["It said {} there", "({})", '"{}"', "at {}, and {}"])
def test_secrets_addresses_and_places_are_taken_out(secret: str, around: str) -> None:
    shown = without_secrets(around.format(secret, secret))
    assert secret not in shown
    assert "[removed]" in shown


@pytest.mark.parametrize("text", VALUES)
def test_what_a_name_calls_a_secret_is_taken_out(text: str) -> None:
    assert VALUES[text] not in without_secrets(f"the server got {text} from us")


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text


@pytest.mark.parametrize("secret", SECRETS)
def test_the_log_goes_by_the_same_rules(secret: str) -> None:
    record = logging.LogRecord("LiteLLM", logging.ERROR, "", 0, f"could not reach {secret} today", (), None)
    _OneShortLine().filter(record)
    assert secret not in record.getMessage()


@pytest.mark.parametrize("secret", [text for text in SECRETS if len(text) > 12])
def test_one_that_is_cut_off_by_the_end_is_not_half_shown(secret: str) -> None:
    shown = without_secrets("word " * 78 + secret + " and more", 400)
    assert secret[:10] not in shown


@pytest.mark.parametrize(
    "unit", ["a.", " ", "@", "/a", "key ", "-----BEGIN A-----", "a@", "1:", "x", "account '", "::", "\u00e9."]
)
def test_no_more_of_a_long_text_is_looked_at_than_can_be_shown(unit: str) -> None:
    looked_at: list[int] = []

    class Text(str):
        def __getitem__(self, part: object) -> str:
            assert isinstance(part, slice)
            found = str.__getitem__(self, part)
            looked_at.append(len(found))
            return found

    assert len(without_secrets(Text(unit * 1_000_000))) <= 400
    assert looked_at == [2_448]
