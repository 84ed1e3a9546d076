"""What stands around every page: the headers, and the check that a change comes from our own page."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # not no-referrer: that would make browsers send "Origin: null" with our own forms
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
NO_STORE = "no-store"
LONGEST_BODY = 16_384
_SAFE = ("GET", "HEAD")


class Guard:
    """ASGI middleware. `origins`: the addresses under which people reach us; anything else is refused (DNS rebinding)."""

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._origins)
        self._https = all(origin.startswith("https://") for origin in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", NO_STORE)
                if self._https:
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        if refusal := self._refusal(scope["method"], Headers(scope=scope)):
            status, reason = refusal
            return await PlainTextResponse(reason, status)(scope, receive, sending)
        return await self._app(scope, receive, sending)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        if headers.get("host", "") not in self._hosts:
            return 421, "this host is not served here\n"
        if method in _SAFE:
            return None
        if not headers.get("content-length", "").isdigit() or int(headers["content-length"]) > LONGEST_BODY:
            return 413, "too large, or of unknown length\n"
        if not self._from_our_own_page(headers):
            return 403, "a change must come from our own page\n"
        return None

    def _from_our_own_page(self, headers: Headers) -> bool:
        """By `Sec-Fetch-Site`; from a browser that does not send it, by `Origin`. Neither: no."""
        site = headers.get("sec-fetch-site")
        return site == "same-origin" if site is not None else headers.get("origin") in self._origins
