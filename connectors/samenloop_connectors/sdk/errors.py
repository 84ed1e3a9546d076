"""Errors grouped by what has to happen next; see `samenloop_producers.errors`."""

from samenloop_producers.errors import ConfigurationError, DataError, EdgeError, TransientError

__all__ = ["ConfigurationError", "DataError", "EdgeError", "TransientError"]
