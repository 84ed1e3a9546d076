"""A real Chromium on real pages. The browser: one on the machine, else Debian's when root, else the one in an npm package."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "live"))
sys.path.insert(0, str(HERE.parents[1] / "views"))

from views_world import World, clear  # noqa: E402

import fetch_vendor  # noqa: E402
from samenloop_deploy.local import LocalStack  # noqa: E402
from samenloop_views.database import ViewsDatabase  # noqa: E402
from samenloop_views.web.app import WebMetrics, build_app, prepare, services_of  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)


def find_chromium() -> str | None:
    """A browser to run, fetched through a package manager when the machine has none."""
    if given := os.environ.get("SAMENLOOP_CHROMIUM"):
        return given
    for attempt in (_installed, _from_debian, _from_npm):
        if found := attempt():
            return found
    return None


def _installed() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _from_debian() -> str | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    quiet = {"capture_output": True, "check": False, "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
    subprocess.run(["apt-get", "update", "-qq"], **quiet)  # type: ignore[call-overload]
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], **quiet)  # type: ignore[call-overload]
    return _installed()


def _from_npm() -> str | None:
    node = shutil.which("node")
    if not node or not npm_modules("--include=optional"):
        return None
    script = "import('@sparticuz/chromium').then(async (m) => console.log(await m.default.executablePath()))"
    done = subprocess.run([node, "-e", script], cwd=HERE, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def npm_modules(*flags: str) -> Path | None:
    """The packages beside this file, as its lock says; None when npm cannot bring them."""
    modules = HERE / "node_modules"
    if (modules / "axe-core").is_dir() and not flags:
        return modules
    done = subprocess.run([*fetch_vendor.npm(), "ci", *flags], cwd=HERE, capture_output=True, check=False)
    return modules if done.returncode == 0 else None


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Per file: while it is open a loop runs in this thread, and no other test could run one."""
    path = find_chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no Chromium to be had: the browser tests did not run")
        warnings.warn("NO CHROMIUM TO BE HAD: THE BROWSER TESTS ARE SKIPPED", stacklevel=1)
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    modules = npm_modules("--omit=optional")
    assert modules is not None, "npm could not fetch axe-core"
    return (modules / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    if not fetch_vendor.present():
        fetch_vendor.fetch()
    with LocalStack.start() as running:
        yield running


@pytest.fixture
def world(stack: LocalStack) -> Iterator[World]:
    clear(stack.databases)
    made = World(stack.databases)
    yield made
    made.close()


@pytest.fixture
def address(world: World) -> Iterator[str]:
    """The pages over this world, served on a port of their own."""
    listening = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    database = ViewsDatabase(world.databases.url("web"), name="web test")
    services = services_of(world.settings(), database, origin)
    prepare(database, services.sessions, services.log)
    app = build_app(services, WebMetrics(), frozenset({origin}))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline, "the pages did not start"
        time.sleep(0.01)
    yield origin
    server.should_exit = True
    thread.join(10)
    database.close()


@dataclass(slots=True)
class Visitor:
    """One person's browser window. `troubles`: policy violations, script errors and failed loads since it opened."""

    page: Page
    context: BrowserContext
    address: str
    troubles: list[str] = field(default_factory=list)

    def log_in(self, name: str) -> None:
        self.page.goto(f"{self.address}/inloggen")
        self.page.get_by_role("button", name=name, exact=False).first.click()
        self.page.wait_for_url("**/overlappen")

    def forgive(self, *words: str) -> None:
        """What the browser calls an error and this test asked for."""
        self.troubles[:] = [trouble for trouble in self.troubles if not any(word in trouble for word in words)]

    def listening(self) -> None:
        """Wait until the page's stream of changes is open."""
        self.page.wait_for_function("() => window.samenloopStreams > 0")


WATCH = """
window.samenloopStreams = 0;
document.addEventListener("securitypolicyviolation", (e) => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`));
document.addEventListener("htmx:sseOpen", () => { window.samenloopStreams += 1; });
"""


@pytest.fixture
def visit(chromium: Browser, address: str) -> Iterator[Callable[..., Visitor]]:
    """Open a window: `visit(width=320, scripts=False)`. At the end of the test none may have seen trouble."""
    visitors: list[Visitor] = []

    def open_window(
        width: int = 1280, height: int = 900, scripts: bool = True, locale: str = "nl-NL", **options: object
    ) -> Visitor:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            java_script_enabled=scripts,
            locale=locale,
            **options,  # type: ignore[arg-type]
        )
        context.add_init_script(WATCH)
        visitor = Visitor(context.new_page(), context, address)
        visitor.page.on("pageerror", lambda error: visitor.troubles.append(f"script {error}"))
        visitor.page.on(
            "console", lambda said: said.type == "error" and visitor.troubles.append(f"console {said.text}")
        )
        visitors.append(visitor)
        return visitor

    yield open_window
    troubles = [trouble for visitor in visitors for trouble in visitor.troubles]
    for visitor in visitors:
        visitor.context.close()
    assert troubles == []
