"""What a person does with the pages: log in, see an overlap come by itself, read the case, without a mouse, without script."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import expect
from views_world import Known, World

from samenloop_schemas.codes import CaseState, Sensitivity, Status
from samenloop_schemas.records import OverlapStatement

pytestmark = pytest.mark.browser
LUMENS = "Maatschappelijk werk Lumens"
Visit = Callable[..., object]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "EN-301-549", "best-practice"]


def noor(world: World) -> OverlapStatement:
    """Four parties, one of them sensitive and one that has left."""
    known: list[Known] = [
        world.involve("lumens/social-work", "one"),
        world.involve("gemeente-valkenswaard/jeugd", "two", starts_on=date(2025, 11, 3)),
        world.involve(
            "gemeente-valkenswaard/werk-inkomen",
            "three",
            starts_on=date(2025, 12, 15),
            ends_on=date(2026, 2, 20),
            status=Status.ENDED,
        ),
        world.involve("gemeente-cranendonck/wmo", "four", sensitivity=Sensitivity.SENSITIVE),
    ]
    return world.overlap(*known)


def keep_picture(page, name: str) -> None:  # type: ignore[no-untyped-def]
    """A screenshot for people to look at, when asked for."""
    if folder := os.environ.get("SAMENLOOP_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_an_overlap_appears_without_a_reload_and_goes_again(world: World, visit: Visit) -> None:
    world.begin("a2")
    me = visit()
    me.log_in(LUMENS)
    expect(me.page.get_by_text("U hoeft nu niets te doen.")).to_be_visible()
    me.listening()
    me.page.evaluate("window.stillTheSamePage = true")
    case = noor(world)
    expect(me.page.get_by_role("link", name="Noor Bakker")).to_be_visible(timeout=3000)
    expect(me.page.locator("#announcement")).to_have_text("De pagina is bijgewerkt.")
    assert me.page.evaluate("window.stillTheSamePage")
    me.page.get_by_role("link", name="Noor Bakker").click()
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Noor Bakker")
    me.listening()
    world.restate(case, state=CaseState.NEVER_OVERLAPPED, facts=(), due=())
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Niet gevonden", timeout=3000)
    expect(me.page.get_by_text("Noor")).to_have_count(0)
    me.forgive("status of 404")


def test_the_stream_carries_nothing_but_that_something_changed(world: World, visit: Visit) -> None:
    world.begin("a2")
    me = visit()
    me.log_in(LUMENS)
    cookie = me.context.cookies()[0]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    me.page.evaluate(
        """() => { window.said = []; const s = new EventSource("/wijzigingen?stand=");
        s.addEventListener("changed", (e) => window.said.push(`${e.lastEventId} ${e.data}`)); }"""
    )
    me.page.wait_for_function("() => window.said.length > 0")
    noor(world)
    me.page.wait_for_function("() => window.said.length > 1")
    for said in me.page.evaluate("window.said"):
        mark, word = said.split(" ")
        assert word == "changed"
        assert len(mark) == 24
        assert set(mark) <= set("0123456789abcdef")


def test_the_whole_way_with_the_keyboard_alone(world: World, visit: Visit) -> None:
    world.begin("a2")
    noor(world)
    me = visit()
    me.page.goto(f"{me.address}/inloggen")
    me.page.keyboard.press("Tab")
    expect(me.page.get_by_role("link", name="Ga naar de inhoud")).to_be_focused()
    expect(me.page.get_by_role("link", name="Ga naar de inhoud")).to_be_in_viewport()
    me.page.keyboard.press("Enter")
    me.page.keyboard.press("Tab")
    expect(me.page.get_by_role("button", name=LUMENS)).to_be_focused()
    me.page.keyboard.press("Enter")
    me.page.wait_for_url("**/overlappen")
    for _ in range(6):
        me.page.keyboard.press("Tab")
        if me.page.evaluate("document.activeElement.textContent") == "Noor Bakker":
            break
    expect(me.page.get_by_role("link", name="Noor Bakker")).to_be_focused()
    outline = me.page.evaluate("getComputedStyle(document.activeElement, '::after').outlineStyle")
    assert outline == "solid"
    me.page.keyboard.press("Enter")
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Noor Bakker")
    me.page.get_by_role("button", name="Uitloggen").focus()
    me.page.keyboard.press("Enter")
    me.page.wait_for_url("**/inloggen")
    me.page.goto(f"{me.address}/overlappen")
    me.page.wait_for_url("**/inloggen?verder=/overlappen")


def test_focus_stays_where_it_was_when_the_list_is_renewed(world: World, visit: Visit) -> None:
    world.begin("a2")
    noor(world)
    me = visit()
    me.log_in(LUMENS)
    me.listening()
    me.page.get_by_role("link", name="Noor Bakker").focus()
    own = world.involve("lumens/social-work", "more", name=("Sam", "de Wit"))
    world.overlap(own, world.involve("gemeente-valkenswaard/wmo", "other"), contact_by=date(2026, 3, 11))
    expect(me.page.get_by_role("link", name="Sam de Wit")).to_be_visible(timeout=3000)
    expect(me.page.get_by_role("link", name="Noor Bakker")).to_be_focused()


@pytest.mark.parametrize("width", [1280, 320])
def test_no_accessibility_rule_is_broken_and_nothing_sticks_out(
    world: World, visit: Visit, axe: str, width: int
) -> None:
    me = visit(width=width, bypass_csp=True)  # axe is put into the page, which our own policy forbids
    me.page.goto(f"{me.address}/inloggen")
    seen = [check_both(me.page, axe, f"no-agreement-{width}")]
    world.begin("a2", "bevelanden")
    me.page.goto(f"{me.address}/inloggen")
    seen.append(check_both(me.page, axe, f"log-in-{width}"))
    me.log_in(LUMENS)
    seen.append(check_both(me.page, axe, f"empty-{width}"))
    case = noor(world)
    me.page.goto(f"{me.address}/overlappen")
    seen.append(check_both(me.page, axe, f"mine-{width}"))
    me.page.goto(f"{me.address}/overlappen/{case.case_id}")
    seen.append(check_both(me.page, axe, f"case-{width}"))
    world.day("a2", date(2026, 3, 20))
    me.page.goto(f"{me.address}/overlappen")
    seen.append(check_both(me.page, axe, f"late-{width}"))
    me.page.goto(f"{me.address}/nergens")
    me.forgive("status of 404")
    seen.append(check(me.page, axe, f"not-found-{width}"))
    assert [problem for problems in seen for problem in problems] == []


def check_both(page, axe: str, name: str) -> list[str]:  # type: ignore[no-untyped-def]
    """In Dutch and in English, and back."""
    found = check(page, axe, f"{name}-nl")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    found += check(page, axe, f"{name}-en")
    page.get_by_role("button", name="Nederlands").click()
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    return found


def check(page, axe: str, name: str) -> list[str]:  # type: ignore[no-untyped-def]
    """What axe finds, and whether the page scrolls sideways."""
    keep_picture(page, name)
    page.evaluate(axe)
    found = page.evaluate("(tags) => axe.run(document, {runOnly: tags})", WCAG)
    problems = [
        f"{name}: {violation['id']} {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*problems, *([f"{name}: {wide} px too wide"] if wide > 0 else [])]


def test_reading_works_without_script(world: World, visit: Visit) -> None:
    world.begin("a2")
    noor(world)
    me = visit(scripts=False)
    me.log_in(LUMENS)
    me.page.get_by_role("link", name="Noor Bakker").click()
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Noor Bakker")
    expect(me.page.get_by_role("row", name="Jeugd Valkenswaard 3 nov 2025 nog betrokken")).to_be_visible()
    expect(me.page.get_by_role("img", name="Tijdlijn van de betrokkenheid")).to_be_visible()
    me.page.get_by_role("button", name="Uitloggen").click()
    me.page.wait_for_url("**/inloggen")


@pytest.mark.parametrize("scripts", [True, False])
def test_the_other_language_is_one_press_away_and_stays(world: World, visit: Visit, scripts: bool) -> None:
    world.begin("a2")
    case = noor(world)
    me = visit(scripts=scripts)
    me.log_in(LUMENS)
    me.page.goto(f"{me.address}/overlappen/{case.case_id}")
    expect(me.page.locator("html")).to_have_attribute("lang", "nl")
    me.page.get_by_role("button", name="English").click()
    me.page.wait_for_url(f"**/overlappen/{case.case_id}")
    expect(me.page.locator("html")).to_have_attribute("lang", "en")
    expect(me.page.get_by_role("heading", name="Who, and since when")).to_be_visible()
    expect(me.page.get_by_role("row", name="Jeugd Valkenswaard 3 Nov 2025 still involved")).to_be_visible()
    expect(me.page.get_by_role("button", name="Nederlands")).to_have_attribute("lang", "nl")
    remembered = next(cookie for cookie in me.context.cookies() if cookie["name"] == "taal")
    assert remembered["expires"] > time.time() + 300 * 86_400
    me.page.get_by_role("button", name="Log out").click()
    me.page.wait_for_url("**/inloggen")
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Log in")
    me.page.goto(f"{me.address}/nergens")
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Not found")
    me.forgive("status of 404")
    me.page.get_by_role("button", name="Nederlands").click()
    me.page.wait_for_url("**/inloggen**")
    expect(me.page.get_by_role("heading", level=1)).to_have_text("Inloggen")


def test_until_somebody_chooses_the_browser_is_asked(world: World, visit: Visit) -> None:
    world.begin("a2")
    me = visit(locale="en-GB")
    me.page.goto(f"{me.address}/inloggen")
    expect(me.page.locator("html")).to_have_attribute("lang", "en")


def test_who_is_logged_out_elsewhere_sees_nothing_more(world: World, visit: Visit) -> None:
    world.begin("a2")
    noor(world)
    me = visit()
    me.log_in(LUMENS)
    me.listening()
    other = me.context.new_page()
    other.goto(f"{me.address}/overlappen")
    other.get_by_role("button", name="Uitloggen").click()
    other.wait_for_url("**/inloggen")
    world.day("a2", date(2026, 3, 11))
    me.page.wait_for_url("**/inloggen", timeout=5000)
    me.forgive("status of 401", "console [object Event]")  # and htmx says that the stream ended
