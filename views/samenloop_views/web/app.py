"""The application: its parts put together in one place, and what it says when something goes wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from http import HTTPStatus

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from prometheus_client import CollectorRegistry, Counter
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samenloop_views.database import NotThereYet, ViewsDatabase
from samenloop_views.opening import key_store
from samenloop_views.web.guard import Guard
from samenloop_views.web.live import Changes
from samenloop_views.web.pages import Forbidden, NotFound, NotLoggedIn, Services, language, message, routes
from samenloop_views.web.processing_log import NotLogged, ProcessingLog
from samenloop_views.web.reading import Reader
from samenloop_views.web.rendering import STATIC
from samenloop_views.web.sessions import Sessions
from samenloop_views.web.settings import WebSettings

log = logging.getLogger(__name__)


class WebMetrics:
    """On a registry of its own; labels never name a person, a client or a case."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.responses = Counter("samenloop_web_responses", "Answers.", ["status"], registry=self.registry)
        self.unlogged = Counter(
            "samenloop_web_unlogged", "Looks refused because the processing log failed.", registry=self.registry
        )


class KeptFiles(StaticFiles):
    """Files whose address holds their digest may be kept for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        if b"v=" in scope["query_string"] and answer.status_code == HTTPStatus.OK:
            answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def build_app(services: Services, metrics: WebMetrics, origins: frozenset[str]) -> ASGIApp:
    """The whole ASGI application. What is outermost guards everything, error pages included."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.changes.start()
        yield
        services.changes.stop()

    app = FastAPI(title="Samenloop", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.include_router(routes(services))
    app.mount("/static", KeptFiles(directory=STATIC))
    _explain_errors(app, metrics)
    return Guard(_counted(app, metrics), origins=origins)


def _explain_errors(app: FastAPI, metrics: WebMetrics) -> None:
    def to_log_in(request: Request, error: Exception) -> Response:
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"hx-redirect": "/inloggen"})
        if request.url.path == "/wijzigingen":
            return Response(status_code=204)  # an EventSource that gets this does not come back
        return RedirectResponse(f"/inloggen?verder={request.url.path}", 303)

    def not_found(request: Request, error: Exception) -> Response:
        _ = language(request).gettext
        lines = [_("There is no such page, or it is not for you to see.")]
        return message(request, 404, _("Not found"), lines)

    def bad(request: Request, error: Exception) -> Response:
        _ = language(request).gettext
        return message(request, 400, _("That cannot be"), [_("What was sent here makes no sense to us.")])

    def forbidden(request: Request, error: Exception) -> Response:
        _ = language(request).gettext
        return message(request, 403, _("Not done"), [_("The page was too old. Go back, load it again and retry.")])

    def unlogged(request: Request, error: Exception) -> Response:
        metrics.unlogged.inc()
        log.error("the processing log cannot be written: nothing is shown")
        _ = language(request).gettext
        lines = [_("We could not write down that you look, so we show nothing. Try again in a moment.")]
        return message(request, 503, _("Nothing to show now"), lines, retry=_same(request))

    def not_yet(request: Request, error: Exception) -> Response:
        _ = language(request).gettext
        lines = [_("Samenloop is starting, or cannot reach its own data. This page looks again by itself.")]
        return message(request, 503, _("Not there yet"), lines, retry=_same(request))

    def broken(request: Request, error: Exception) -> Response:
        _ = language(request).gettext
        return message(request, 500, _("Something went wrong"), [_("This is our mistake, and it has been noted.")])

    handlers: dict[type[Exception] | int, Callable[[Request, Exception], Response]] = {
        NotLoggedIn: to_log_in,
        NotFound: not_found,
        HTTPException: not_found,
        RequestValidationError: bad,
        Forbidden: forbidden,
        NotLogged: unlogged,
        NotThereYet: not_yet,
        psycopg.OperationalError: not_yet,
        PoolTimeout: not_yet,
        Exception: broken,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _same(request: Request) -> str:
    return request.url.path if request.method == "GET" else ""


def _counted(app: ASGIApp, metrics: WebMetrics) -> ASGIApp:
    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics.responses.labels(str(message["status"])).inc()
            await send(message)

        await app(scope, receive, sending)

    return counting


def prepare(database: ViewsDatabase, sessions: Sessions, log_: ProcessingLog) -> None:
    """The web's own tables, in a schema that it owns."""
    with database.pool.connection() as connection, connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('samenloop web', 0))")
        known = connection.execute("SELECT FROM pg_namespace WHERE nspname = 'web'").fetchone()
        if known is None:
            connection.execute("CREATE SCHEMA web")
        sessions.prepare(connection)
        log_.prepare(connection)


def services_of(settings: WebSettings, database: ViewsDatabase, public_url: str) -> Services:
    secure = public_url.startswith("https://")
    return Services(
        reader=Reader(database, key_store(settings)),
        sessions=Sessions(database, timedelta(minutes=settings.idle_minutes), timedelta(hours=settings.session_hours)),
        log=ProcessingLog(database),
        changes=Changes(settings.database_url.get_secret_value()),
        demo=settings.demo,
        cookie="__Host-samenloop" if secure else "samenloop",
        secure=secure,
    )
