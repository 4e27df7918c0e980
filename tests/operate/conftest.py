"""What tests of operation share."""

from tests.demo_server import demo_server

__all__ = ["demo_server"]
