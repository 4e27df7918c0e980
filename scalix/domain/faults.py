"""Describes unexpected errors for a log."""

import traceback


def shown_fault(error: BaseException) -> str:
    """The class of `error` and where it came from, innermost last; without its text, which may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " > ".join(
        f"{frame.filename.rpartition('scalix/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-6:]
    )
    return f"{type(error).__name__} at {places}"
