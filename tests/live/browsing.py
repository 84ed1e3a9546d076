"""A person at the pages, every exchange written down: address, headers, cookies, bodies."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import httpx


@dataclass(frozen=True, slots=True)
class Exchange:
    """`around` is everything but the answer's body: what proxies, histories and log files may keep."""

    method: str
    path: str
    status: int
    around: bytes
    body: bytes


@dataclass(slots=True)
class Person:
    """Somebody who can log in at the demo. `name` is the party's (a process director's: the municipality's)."""

    key: str
    name: str
    role: str


@dataclass(slots=True)
class Browser:
    url: str
    exchanges: list[Exchange] = field(default_factory=list)
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.url, timeout=60, headers={"Sec-Fetch-Site": "same-origin"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **cookies: str) -> Exchange:
        request = self._http.build_request("GET", path)
        for name, value in cookies.items():
            request.headers["cookie"] = "; ".join(filter(None, (request.headers.get("cookie"), f"{name}={value}")))
        return self._done(self._http.send(request))

    def post(self, path: str, **form: str) -> Exchange:
        return self._done(self._http.post(path, data=form))

    @contextmanager
    def listening(self, path: str) -> Iterator[Iterator[str]]:
        """Server-sent events, line by line."""
        with self._http.stream("GET", path) as answer:
            lines: list[str] = []

            def read() -> Iterator[str]:
                for line in answer.iter_lines():
                    lines.append(line)
                    yield line

            try:
                yield read()
            finally:
                self.exchanges.append(_written_down(answer, "\n".join(lines).encode()))

    def people(self) -> list[Person]:
        """Who can log in, as the page says."""
        page = self.get("/inloggen").body.decode()
        button = re.compile(
            r'name="user" value="(\w+)">\s*<span class="person__name">(.*?)</span>\s*<span class="person__role">(.*?)</span>'
        )
        return [Person(key, html.unescape(name), html.unescape(role)) for key, name, role in button.findall(page)]

    def log_in(self, person: Person) -> None:
        self._http.cookies.clear()
        assert self.post("/inloggen", user=person.key).status == 303

    def overlaps(self) -> list[str]:
        """The addresses of the viewer's own cases, from every page of the list."""
        found: list[str] = []
        path: str | None = "/overlappen"
        while path:
            answer = self.get(path)
            assert answer.status == 200
            page = answer.body.decode()
            found += re.findall(r'href="(/overlappen/[0-9a-f]{32})"', page)
            following = re.search(r'rel="next" href="([^"]+)"', page)
            path = html.unescape(following[1]) if following else None
        return found

    def _done(self, answer: httpx.Response) -> Exchange:
        self.exchanges.append(_written_down(answer, answer.content))
        return self.exchanges[-1]


def _written_down(answer: httpx.Response, body: bytes) -> Exchange:
    request = answer.request
    around = b"\n".join(
        [
            f"{request.method} {request.url}".encode(),
            *(name + b": " + value for name, value in (*request.headers.raw, *answer.headers.raw)),
            b"" if request.method == "GET" else request.content,
        ]
    )
    return Exchange(request.method, request.url.raw_path.decode(), answer.status_code, around, body)
