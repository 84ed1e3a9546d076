"""The guard around the pages: a change comes from our own page, under our own name, and is small."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from samenloop_views.web.guard import HEADERS, LONGEST_BODY, Guard

ORIGIN = "http://127.0.0.1:8000"


async def done(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("done")(scope, receive, send)


def ask(method: str, headers: dict[str, str], origin: str = ORIGIN, content: bytes = b"x") -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=Guard(done, origins=[origin]))
        async with httpx.AsyncClient(transport=transport, base_url=origin) as client:
            return await client.request(method, "/", headers=headers, content=content if method == "POST" else None)

    return asyncio.run(send())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": ORIGIN}, 403),
        ({"origin": ORIGIN}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_a_change_comes_from_our_own_page(headers: dict[str, str], status: int) -> None:
    answer = ask("POST", headers)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert ask("GET", headers).status_code == 200


def test_another_host_name_is_not_served() -> None:
    assert ask("GET", {"host": "evil.example"}).status_code == 421


def test_a_form_is_small() -> None:
    assert ask("POST", {"origin": ORIGIN}, content=b"x" * LONGEST_BODY).status_code == 200
    assert ask("POST", {"origin": ORIGIN}, content=b"x" * (LONGEST_BODY + 1)).status_code == 413


def test_over_https_browsers_are_told_to_stay_there() -> None:
    assert "strict-transport-security" not in ask("GET", {}).headers
    assert "strict-transport-security" in ask("GET", {}, origin="https://samenloop.example").headers


def test_the_policy_allows_nothing_unsafe() -> None:
    policy = HEADERS["content-security-policy"]
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")
    for directive in ("base-uri 'none'", "object-src 'none'", "frame-ancestors 'none'"):
        assert directive in policy
