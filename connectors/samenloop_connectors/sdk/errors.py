"""Errors grouped by what has to happen next; see `samenloop_producers.errors`."""

from samenloop_producers.errors import ConfigurationError, DataError, EdgeError, TransientError

__all__ = ["ConfigurationError", "DataError", "EdgeError", "NotYet", "TransientError"]


class NotYet(DataError):
    """The parts of a case that are known so far say nothing yet, and are right in themselves: they wait for the rest."""

    def __init__(self) -> None:
        super().__init__("not_yet")
