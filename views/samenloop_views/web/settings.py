"""What the web process is told through its environment, beside what every hub process is told."""

from __future__ import annotations

from pydantic import Field, model_validator

from samenloop_processors.settings import HubSettings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class WebSettings(HubSettings):
    """The web process."""

    host: str = Field("127.0.0.1", validation_alias="SAMENLOOP_WEB_HOST")
    port: int = Field(0, validation_alias="SAMENLOOP_WEB_PORT")
    """0 picks a free one."""
    public_url: str = ""
    """The address under which people reach the pages, such as ``https://samenloop.example``; empty = the address served."""
    demo: bool = False
    """A built-in list of demo users may log in. Never beside real data."""
    idle_minutes: int = 30
    session_hours: int = 8

    @model_validator(mode="after")
    def _no_plain_http_off_this_machine(self) -> WebSettings:
        if self.host not in LOOPBACK and not self.public_url.startswith("https://"):
            raise ValueError("off this machine the pages are served behind https: set SAMENLOOP_PUBLIC_URL")
        return self
