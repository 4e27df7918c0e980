"""The metered routes."""

from enum import StrEnum


class Route(StrEnum):
    """One kind of provider call, whatever the path's spelling."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    MESSAGES = "messages"
