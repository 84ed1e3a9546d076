"""The routes. Each that shows a person goes the same way: who looks, what may he see, write the log, open the names."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from samenloop_schemas.codes import ActorRole
from samenloop_views.web import showing
from samenloop_views.web.live import Changes, stream
from samenloop_views.web.processing_log import Action, Look, Outcome, ProcessingLog
from samenloop_views.web.reading import Found, Moved, Reader, Withdrawn
from samenloop_views.web.rendering import render
from samenloop_views.web.sessions import Session, Sessions
from samenloop_views.web.texts import LANGUAGES, Language, language_of
from samenloop_views.web.viewers import Viewer, demo_viewers

LANGUAGE_COOKIE = "taal"
REMEMBERED_S = 365 * 86_400
_CASE_ID = re.compile(r"^[0-9a-f]{32}$")
_OWN_PAGE = re.compile(r"^/overlappen(/[0-9a-f]{32})?$")
_ANY_PAGE = re.compile(r"^/(inloggen|overlappen(/[0-9a-f]{32})?)(\?pagina=[0-9]{1,5})?$")


@dataclass(frozen=True, slots=True)
class Services:
    """What the pages stand on. `cookie`: the session cookie's name; `secure`: whether we are served over https."""

    reader: Reader
    sessions: Sessions
    log: ProcessingLog
    changes: Changes
    demo: bool
    cookie: str
    secure: bool


@dataclass(frozen=True, slots=True)
class Visit:
    session: Session
    viewer: Viewer


class NotLoggedIn(Exception):
    pass


class NotFound(Exception):
    """There is no such page, or not for this viewer: the answer is the same."""


class Forbidden(Exception):
    """A form came without its token."""


def routes(services: Services) -> APIRouter:
    """All routes over these services."""
    router = APIRouter()
    reader, log = services.reader, services.log

    def token(request: Request) -> str | None:
        return request.cookies.get(services.cookie)

    def visit(request: Request, *, used: bool = True) -> Visit:
        session = services.sessions.find(token(request), used=used)
        viewer = demo_viewers(*reader.book()).get(session.user_key) if session and services.demo else None
        if session is None or viewer is None:
            raise NotLoggedIn
        return Visit(session, viewer)

    def feeds_of(viewer: Viewer) -> list[showing.FeedShown]:
        return showing.feeds(reader.feeds(viewer.area), reader.book()[1].get(viewer.area))

    @router.get("/")
    def start() -> Response:
        return RedirectResponse("/overlappen", 303)

    @router.get("/inloggen")
    def log_in_page(request: Request, verder: str = "") -> Response:
        areas: dict[str, dict[str, Any]] = {}
        if services.demo:
            book, days = reader.book()
            for viewer in demo_viewers(book, days).values():
                latest = book.versions(viewer.area)[-1].agreement
                names = ", ".join(place.name for place in latest.municipalities)
                areas.setdefault(viewer.area, {"id": viewer.area, "name": names, "viewers": []})
                areas[viewer.area]["viewers"].append(viewer)
        after = verder if _OWN_PAGE.match(verder) else ""
        return page(request, "login.html", None, demo=services.demo, areas=list(areas.values()), next=after)

    @router.post("/inloggen")
    def log_in(user: Annotated[str, Form()], next: Annotated[str, Form()] = "") -> Response:
        viewer = demo_viewers(*reader.book()).get(user) if services.demo else None
        if viewer is None:
            raise NotFound
        log.record(viewer, [Look(Action.LOG_IN)])
        answer = RedirectResponse(next if _OWN_PAGE.match(next) else "/overlappen", 303)
        answer.set_cookie(
            services.cookie,
            services.sessions.open(viewer.key),
            httponly=True,
            secure=services.secure,
            samesite="lax",
            path="/",
        )
        return answer

    @router.post("/uitloggen")
    def log_out(request: Request, form_token: Annotated[str, Form()] = "") -> Response:
        here = visit(request)
        if not here.session.accepts(form_token):
            raise Forbidden
        services.sessions.close(token(request))
        log.record(here.viewer, [Look(Action.LOG_OUT)])
        answer = RedirectResponse("/inloggen", 303, {"clear-site-data": '"cache", "storage"'})
        answer.delete_cookie(services.cookie, path="/", secure=services.secure, httponly=True, samesite="lax")
        return answer

    @router.post("/taal")
    def choose_language(language: Annotated[str, Form()], back: Annotated[str, Form()] = "") -> Response:
        """Back on the page where the choice was made, in the other language; remembered for a year."""
        answer = RedirectResponse(back if _ANY_PAGE.match(back) else "/", 303)
        if language in LANGUAGES:
            answer.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=REMEMBERED_S,
                path="/",
                httponly=True,
                secure=services.secure,
                samesite="lax",
            )
        return answer

    @router.get("/overlappen")
    def mine(request: Request, pagina: Annotated[int, Query(ge=1, le=10_000)] = 1) -> Response:
        here = visit(request)
        stand = reader.stand(here.viewer)
        found, more = reader.mine(here.viewer, pagina)
        logged = log.record(here.viewer, [look_at(one, Action.LIST) for one in found])
        names = reader.open_names(logged, found)
        say = language(request)
        return page(
            request,
            "overlaps.html",
            here,
            at="mine",
            cases=[showing.in_list(one, names.get(one.view.case.case_id), say) for one in found],
            page=pagina,
            more=more,
            address=f"/overlappen?pagina={pagina}",
            director=here.viewer.role is ActorRole.PROCESS_DIRECTOR,
            feeds=feeds_of(here.viewer),
            stand=stand,
        )

    @router.get("/overlappen/{case_id}")
    def case(request: Request, case_id: str) -> Response:
        here = visit(request)
        known = case_id if _CASE_ID.match(case_id) else ""
        stand = reader.stand(here.viewer, known)
        found = reader.case(here.viewer, known) if known else None
        if found is None:
            log.record(here.viewer, [Look(Action.READ, known, outcome=Outcome.REFUSED)])
            raise NotFound
        if isinstance(found, Moved):
            return RedirectResponse(f"/overlappen/{found.case_id}", 303)
        if isinstance(found, Withdrawn):
            log.record(here.viewer, [Look(Action.READ, found.case_id, found.client_id)])
            return page(request, "message.html", here, **withdrawn(language(request)))
        logged = log.record(here.viewer, [look_at(found, Action.READ)])
        person = reader.open_names(logged, [found]).get(known)
        shown = showing.whole(found, person, language(request))
        return page(request, "case.html", here, feeds=feeds_of(here.viewer), stand=stand, **shown)

    @router.get("/versheid")
    def freshness(request: Request) -> Response:
        here = visit(request, used=False)
        return page(request, "_feeds.html", here, feeds=feeds_of(here.viewer))

    @router.get("/wijzigingen")
    async def changes(request: Request, stand: str = "", overlap: str | None = None) -> Response:
        here = await run_in_threadpool(visit, request, used=False)
        wanted = overlap if overlap and _CASE_ID.match(overlap) else None

        def now() -> str | None:
            """The state as this viewer may see it at this moment; None once he may not."""
            try:
                return reader.stand(visit(request, used=False).viewer, wanted)
            except NotLoggedIn:
                return None

        known = request.headers.get("last-event-id", stand)
        events: AsyncIterator[bytes] = stream(
            services.changes, here.viewer.area, partial(run_in_threadpool, now), known, request.is_disconnected
        )
        return StreamingResponse(events, media_type="text/event-stream")

    return router


def look_at(found: Found, action: Action) -> Look:
    case = found.view.case
    return Look(action, case.case_id, case.client_id, found.purpose, found.basis, found.agreement_version)


def language(request: Request) -> Language:
    return language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language", ""))


def page(request: Request, template: str, visit: Visit | None, status: int = 200, **values: Any) -> HTMLResponse:
    say = language(request)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    values = {"at": "", "here": here if _ANY_PAGE.match(here) else request.url.path, **values}
    return HTMLResponse(
        render(
            template,
            say,
            visit=visit,
            role_name=lambda role: showing.role_name(role, say.gettext),
            involvement_role=lambda role: showing.involvement_role(role, say.gettext),
            last_day=showing.last_day,
            **values,
        ),
        status,
    )


def withdrawn(say: Language) -> dict[str, Any]:
    _ = say.gettext
    return {
        "title": _("This overlap was withdrawn"),
        "lines": [
            _("You were told that another party was involved with one of your clients. That turned out not to be so."),
            _("Do nothing with what you were told. If you shared anything because of it, tell your privacy officer."),
        ],
        "retry": "",
    }


def message(request: Request, status: int, title: str, lines: Sequence[str], retry: str = "") -> HTMLResponse:
    return page(request, "message.html", None, status, title=title, lines=lines, retry=retry)
