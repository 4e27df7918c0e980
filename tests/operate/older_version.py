"""A gateway that says that it is of another version."""

import scalix


def create_app() -> object:
    """The worker's app."""
    scalix.__version__ = "0.0.9"
    from scalix.wiring.gate import create_app as shipped

    return shipped()
