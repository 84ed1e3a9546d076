"""What the notifier is told through its environment, beside what every hub process is told."""

from __future__ import annotations

from samenloop_processors.settings import HubSettings


class NotifierSettings(HubSettings):
    """The notifier process."""

    public_url: str = ""
    """Where a notice's link leads; empty: notices carry no link."""
    poll_seconds: float = 3.0
    """How long a wake-up that got lost can delay a notice."""
    hub_oin: str = "0" * 20
    """The hub's organisation number, for `ce_source`."""
