"""What a log may say of an error that nobody expected."""

import traceback


def shown_fault(error: BaseException) -> str:
    """The kind of `error` and where it came from, innermost last; never its text, which may quote what was sent."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " > ".join(
        f"{frame.filename.rpartition('scalix/')[2]}:{frame.lineno} {frame.name}" for frame in frames[-6:]
    )
    return f"{type(error).__name__} at {places}"
