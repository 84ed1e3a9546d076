"""The form of a check."""

from __future__ import annotations

from collections.abc import Callable

from samenloop_deploy.doctor.finding import Said
from samenloop_deploy.doctor.scene import Scene

Check = Callable[[Scene], Said]
"""Looks at one thing. Raises `CannotTell` when something else stands in its way; anything else is a defect of ours."""
