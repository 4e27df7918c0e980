"""The names of redis-py that this project uses, with their types. A name that is missing here, or has gone there
(`tests/test_typings.py`), is an error."""

from typing import Any, Self

from redis import asyncio as asyncio
from redis import exceptions as exceptions
from redis.exceptions import AuthenticationError as AuthenticationError
from redis.exceptions import ConnectionError as ConnectionError
from redis.exceptions import RedisError as RedisError
from redis.exceptions import ResponseError as ResponseError

class Redis:
    """The blocking client, for tests and benchmarks; its commands are not typed."""

    def __init__(self, **options: Any) -> None: ...
    @classmethod
    def from_url(cls, url: str, **options: Any) -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
