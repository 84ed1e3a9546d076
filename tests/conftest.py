"""For all tests: properties are searched without a time limit per example, since speed is measured in benchmarks only."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("samenloop", deadline=None)
settings.load_profile("samenloop")
