"""Shortens and redacts texts from clients, providers and libraries before they are shown."""

from scalix.domain.redaction.credentials import without_credentials
from scalix.domain.redaction.places import PLACES

# As much more is searched than is shown, to fill up for what is removed.
_MARGIN_CHARS = 2048
_LONGEST_WORD_CHARS = 256


def without_secrets(text: str, most_chars: int = 400) -> str:
    """The first `most_chars` of a text, without credentials, addresses, paths and accounts.

    The text is cut first, at a blank: half a secret would not be recognised.
    """
    cut = without_credentials(_beginning(text, most_chars + _MARGIN_CHARS))
    for kind in PLACES:
        cut = kind.taken_out(cut)
    return cut.decode("utf-8", "replace")[:most_chars].strip()


def shown_text(text: str, most_chars: int = 100) -> str:
    """The first `most_chars` of a text that goes back to the client who sent it, without credentials."""
    return without_credentials(_beginning(text, most_chars + _MARGIN_CHARS)).decode("utf-8", "replace")[:most_chars]


def _beginning(text: str, most_chars: int) -> bytes:
    cut = text[:most_chars]
    if len(cut) == most_chars:
        cut = cut[:-_LONGEST_WORD_CHARS] + cut[-_LONGEST_WORD_CHARS:].rpartition(" ")[0]
    return cut.encode("utf-8", "replace")
