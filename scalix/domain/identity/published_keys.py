"""Recognises secrets that are not secret: placeholders that nobody replaced, and keys from public documentation."""

import re2

_WORDS = (
    "access|actual|admin|agent|anthropic|any|anything|api|auth|azure|bearer|change|changeme|changethis|client|default"
    "|demo|dev|developer|development|dummy|empty|env|example|existing|fake|fill|flight|for|generate|generated|here|hotel|in|insert"
    "|it|key|letmein|litellm|lite|llm|local|localhost|long|main|master|master1|me|mock|my|needed|new|no|none|not|null|openai|openclaw|openssl|org"
    "|owner|password|passwd|paste|placeholder|playground|private|prod|production|proj|project|proxy|random|rand|replace|required"
    "|root|sample|scalix|secret|secure|service|some|something|special|staging|string|strong|super|team|temp|test|testing|the"
    "|this|to|todo|token|user|value|virtual|with|worker|xxx|you|your|abc|abcdef|qwerty|admin123|base64|hex"
)
_DIGITS = "[0-9]{1,12}"
# Made only of such words and of digits, such as `sk-scalix-dev-123456789`.
_OF_WORDS = re2.compile(
    rf"(?i)(?:sk[-_])?(?:{_DIGITS}[-_. ]?)?(?:(?:{_WORDS}|x{{2,}}|\*{{3,}}|\.{{3}})[-_. ]?)+(?:{_DIGITS})?"
)
# Texts that ask to be replaced: `your_gemini_api_key_here`, `<key>`, `changeme`, `sk-1234`, `sk-xxx`.
_PLACEHOLDER = re2.compile(
    r"(?i)(?:sk[-_])?(?:ant[-_])?(?:your?[-_ ].*|.*[-_ ]your[-_ ].*|.*[-_ ]here|<[^<>]*>|\[[\w -]*\]|\{[\w -]*\}"
    r"|change[-_ ]?(?:me|this).*|.*[-_ ]change[-_ ]?me.*|(?:replace|insert|paste|enter)[-_ ].*|.*x{5,}|x{3,}"
    rf"|.*\.\.\.|.*…|{_DIGITS}|\*+|placeholder|example|todo)"
)
# From LiteLLM's documentation and from published examples.
_DOCUMENTED = """
sk-1234ewknldferwedojwojw sk-54d77cd67b9febbb sk-5fmYeaUEbAMpwBNT-QpxyA sk-5qtncoYjzRcxMM4bDRktNQ
sk-7shH8TGMAofR4zQpAAo6kQ sk-9v6I-jf9-eYtg_PwM8OKgQ sk-A1L0C3Px2LJl53sF_kTF9A sk-Fxq5XSyWKeXDKfPdqXZhPg
sk-H16BKvrSNConSsBYLGc_7A sk-KbUuE0WNptC0jXapyMmLBA sk-Nb5eCf427iewOlbxXIH4Ow sk-P1zJMdsqCPNN54alZd_ETw
sk-PIp1h0RekR sk-RV-l2BJEZ_LYNChSx2EueQ sk-W8VbscpfuyvHm5TkxRYiXA sk-X53RdxnDhzamRwjKXR4IHg
sk-YF2OxDbrgd1y2KgwxmEA2w sk-account-1-key sk-account-2-key sk-b3Z3Lqdb_detHXSUp4ol4Q sk-behaviortest-DO-NOT-LOG-123
sk-codeforge-dev sk-developlus-master sk-eVHmb25YS32mCwZt9Aa_Ng sk-eWkpOhYaHiuIZV-29JDeTQ
sk-hWv1u2fX3yG4zJ5kT6p7qR8sT9uV0wX1 sk-jNm1Zar7XfNdZXp49Z1kSQ sk-key-from-step-1 sk-lf-project-a sk-lf-project-b
sk-master-lab-only sk-mso-JSykEGri86KyOvgxBw sk-nimpilot sk-npnwjPQciVRok5yNZgKmFQ sk-otsclFlEblQ-6D60ua2IZg
sk-prod-key-from-vault sk-proj-54bgCI sk-qnWGUIW9 sk-qo992IjKOC2CHKZGRoJIGA sk-sA7VDkyhlQ7m8Gt77Mbt3Q
sk-tXL0wt5-lOOVK9sfY2UacA sk-test-boot sk-ulGNRXWtv7M0lFnnsQk0wQ sk-virtual-key-from-key-generate sk-worker-b-1234
sk-zV5HlSIm8ihj1F9C_ZbB1g sk-zapier-token-123 sk-zi5onDRdHGD24v0Zdn7VBA
"""
_PUBLISHED = frozenset(_DOCUMENTED.split())
_MOST_CHARS = 128


def is_published(key: str) -> bool:
    """Whether `key` is publicly known or easily guessed."""
    text = key.strip()
    return text in _PUBLISHED or is_placeholder(text) or (len(text) <= _MOST_CHARS and bool(_OF_WORDS.fullmatch(text)))


def is_placeholder(key: str) -> bool:
    """Whether `key` is a placeholder for one."""
    text = key.strip()
    return 0 < len(text) <= _MOST_CHARS and bool(_PLACEHOLDER.fullmatch(text))
