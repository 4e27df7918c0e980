"""The errors of the Python API. Arguments that make no sense are a `ValueError`."""

from scalix.store.base import StoreUnavailable


class StoreNotRunning(StoreUnavailable):
    """The gateway's store does not answer. The message says which one, and how to start it."""


class SetupError(RuntimeError):
    """The configuration can't be read, or names no store. The message says what to write instead."""


class UnknownPrice(LookupError):
    """The model has no price, or is not configured."""
