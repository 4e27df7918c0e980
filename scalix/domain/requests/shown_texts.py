"""What of a client's own text is said back to it in an error."""

import re2

# A key of anybody's, or a JSON Web Token, that was pasted where it does not belong.
_CREDENTIAL = re2.compile(r"\b(sk-|ey)[A-Za-z0-9_.~+/=-]{8,}")


def shown(text: str, most_chars: int) -> str:
    """The first `most_chars` of a text, without what looks like a credential."""
    return str(_CREDENTIAL.sub(lambda match: match.group(1) + "…", text[:512]))[:most_chars]
