"""What of a text from a client, a provider or a library is shown."""

from scalix.domain.redaction.credentials import without_credentials
from scalix.domain.redaction.places import PLACES

# Beyond what is shown this much is looked at, in place of what is taken out.
_MARGIN_CHARS = 2048
_LONGEST_WORD_CHARS = 256


def without_secrets(text: str, most_chars: int = 400) -> str:
    """The first `most_chars` of a text, without credentials, addresses, paths and accounts.

    The text is cut before it is looked at, at a blank: half a secret can't be told.
    """
    cut = without_credentials(_beginning(text, most_chars + _MARGIN_CHARS))
    for kind in PLACES:
        cut = kind.taken_out(cut)
    return cut.decode("utf-8", "replace")[:most_chars].strip()


def shown_text(text: str, most_chars: int = 100) -> str:
    """The first `most_chars` of what a client itself has sent, said back to it: only without credentials."""
    return without_credentials(_beginning(text, most_chars + _MARGIN_CHARS)).decode("utf-8", "replace")[:most_chars]


def _beginning(text: str, most_chars: int) -> bytes:
    cut = text[:most_chars]
    if len(cut) == most_chars:
        cut = cut[:-_LONGEST_WORD_CHARS] + cut[-_LONGEST_WORD_CHARS:].rpartition(" ")[0]
    return cut.encode("utf-8", "replace")
