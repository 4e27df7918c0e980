from typing import Any

def token_counter(
    model: str = "", custom_tokenizer: Any = None, text: Any = None, messages: Any = None, **options: Any
) -> int: ...
