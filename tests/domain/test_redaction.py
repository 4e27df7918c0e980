"""What of somebody else's text may be shown, to a client and in a log: one corpus for both."""

import logging
from urllib.parse import quote

import pytest

from scalix.domain.redaction.credentials import without_credentials
from scalix.domain.redaction.foreign_texts import shown_text, without_secrets
from scalix.domain.redaction.known_secrets import KnownSecrets
from scalix.litellm_adapter.quiet_logs import _OneShortLine
from tests.domain.redaction_corpus import CREDENTIALS, ORDINARY, PLACES, SECRETS, VALUES


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["It said {} there", "({})", '"{}"', "at {}, and {}"])
def test_secrets_addresses_and_places_are_taken_out(secret: str, around: str) -> None:
    seen = without_secrets(around.format(secret, secret))
    assert secret not in seen
    assert "[removed]" in seen


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
    seen = without_secrets("word " * 78 + secret + " and more", 400)
    assert secret[:10] not in seen


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


@pytest.mark.parametrize(("text", "gone"), CREDENTIALS + PLACES)
def test_nothing_of_the_corpus_reaches_a_client_or_a_line_of_litellm(text: str, gone: list[str]) -> None:
    record = logging.LogRecord("LiteLLM", logging.ERROR, "", 0, text, (), None)
    _OneShortLine().filter(record)
    for seen in (without_secrets(text), without_secrets(f"{text}, and more"), record.getMessage()):
        assert not [part for part in gone if part in seen]


@pytest.mark.parametrize(("text", "gone"), CREDENTIALS)
def test_no_credential_is_said_back_or_stands_in_any_line_of_the_log(text: str, gone: list[str]) -> None:
    for seen in (shown_text(text, 400), KnownSecrets({})(text.encode()).decode()):
        assert not [part for part in gone if part in seen]


@pytest.mark.parametrize("text", [*ORDINARY, *(text for text, _ in PLACES if "://" not in text)])
def test_a_line_of_the_log_keeps_what_lets_nobody_in(text: str) -> None:
    assert without_credentials(text.encode()).decode() == text


@pytest.mark.parametrize("text", ["\ud800 lone", "nul \x00 and \xff", "a@\ud83d", "key=\udc80\udc80\udc80"])
def test_a_text_that_is_no_proper_unicode_is_a_text(text: str) -> None:
    assert without_secrets(text)
    assert shown_text(text, 100)


@pytest.mark.parametrize("password", ["e", "p@ss", "p@s/s", "p:1", "a b", "ключ", "x" * 300, "50%"])
@pytest.mark.parametrize("written", [lambda text: text, lambda text: quote(text, safe="")])
def test_a_password_in_a_url_is_found_however_it_is_written(password: str, written: object) -> None:
    assert callable(written)
    redact = KnownSecrets({"ANY_NAME": f"https://ci:{written(password)}@example.com/x"})
    for form in (password, quote(password, safe="")):
        assert redact(f"it was ({form}) there".encode()) == b"it was ([redacted]) there"
    assert redact(b"the webhook delivers here") == b"the webhook delivers here"


def test_a_key_of_several_lines_is_hidden_line_by_line() -> None:
    text = "-----BEGIN KEY-----\nMIIEcanary0123456789\nq9canary0123\n-----END KEY-----"
    redact = KnownSecrets({"SIGNING_KEY": text, "GOOGLE_CREDENTIALS": text.replace("\n", "\\n").replace("q9", "q8")})
    for line in (b"MIIEcanary0123456789", b"at q9canary0123.", b"q8canary0123"):
        assert b"canary" not in redact(line)


def test_hundreds_of_long_secrets_are_one_pattern() -> None:
    values = {f"A{number}_KEY": f"{number:04d}" + "s" * 4000 for number in range(500)}
    assert KnownSecrets(values)(values["A499_KEY"].encode() + b" rest") == b"[redacted] rest"
