"""`samenloop connector status` for people: the account of a connector as tables in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape

from samenloop_deploy.cli.console import people, print_table

if TYPE_CHECKING:
    from samenloop_connectors.sdk.receipt_words import Reason
    from samenloop_connectors.sdk.status import ConnectorStatus, OwnNotice, Reconciliation

_WHY = {
    "refused": "refused: the hub kept nothing of this statement",
    "withheld": "newest statement refused: the hub has taken the case out",
    "not_counted": "ended, but outside the agreement: the hub keeps no dates",
    "quarantined": "set apart at the hub",
    "waiting": "waits at the hub for an agreement",
    "unheard": "no receipt came",
}
_NO_CONSENT = {
    "consent_missing": "no written consent with a date that can be read",
    "consent_withdrawn": "consent was refused or taken back",
    "consent_not_yet": "consent begins on a day to come",
    "consent_scope": "consent is for something else",
}


def show(status: ConnectorStatus, notices: Sequence[OwnNotice], limit: int) -> None:
    """The whole account, what needs attention in words."""
    people.print(f"[bold]connector of {status.partner}[/]: {status.cases} cases", highlight=False)
    print_table(
        "streams",
        [
            {
                "stream": each.stream,
                "read": at(each.succeeded_at),
                "failed": at(each.failed_at) if each.failure else "",
                "failure": each.failure,
            }
            for each in status.streams
        ],
    )
    print_table("statements", [_statements(status)])
    _feed(status)
    print_table(
        "refused, set apart, or taken with a remark",
        [
            {
                "case": each.case_number,
                "organisation": each.organisation,
                "outcome": each.outcome.lower(),
                "reason": lines(f"{reason.code}: {reason.meaning}" for reason in each.reasons),
                "what to do": _advice(each.reasons),
            }
            for each in status.refusals[:limit]
        ],
    )
    print_table("what the hub holds against what was stated", [_row(each) for each in status.reconciliation])
    print_table(
        "cases on which they differ",
        [
            {
                "case": case.case_number,
                "organisation": each.organisation,
                "why": _WHY.get(case.why, case.why),
                "codes": " ".join(case.codes),
            }
            for each in status.reconciliation
            for case in each.differing[:limit]
        ],
    )
    print_table(
        "set aside at the source (samenloop quarantine list --config ...)",
        [
            {
                "id": each.id,
                "stream": each.stream,
                "place": each.place,
                "case": each.case_number,
                "code": each.code,
                "field": each.field,
                "first": at(each.first_at),
                "times": each.times,
            }
            for each in status.set_aside[:limit]
        ],
    )
    print_table(
        "rows refused at the source: nothing of them was kept or sent",
        [{"reason": _NO_CONSENT.get(code, code), "rows": rows} for code, rows in sorted(status.rows_refused.items())],
    )
    print_table("notices, newest last", [notice_row(each) for each in notices[-limit:]])
    more = [f"{number} {what} of another connector" for what, number in status.elsewhere.items() if number]
    if status.set_aside_discarded:
        more.append(f"{status.set_aside_discarded} discarded at the source")
    if more:
        people.print(f"Not shown: {', '.join(more)}.", highlight=False)


def notice_row(notice: OwnNotice) -> dict[str, object]:
    return {
        "case": lines(notice.case_numbers),
        "party": notice.party,
        "kind": notice.kind.lower(),
        "change": notice.change.lower(),
        "deadline": notice.deadline,
        "link": notice.link,
    }


def at(moment: datetime | None) -> str:
    """In the time of who looks."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def lines(texts: object) -> str:
    return "\n".join(texts)  # type: ignore[arg-type]


def _statements(status: ConnectorStatus) -> dict[str, object]:
    taken = status.outcomes.get("ACCEPTED", 0)
    waiting = f" (oldest {at(status.outbox_oldest_at)})" if status.outbox_pending else ""
    return {
        "accepted": f"{taken} ({status.remarked} with a remark)" if status.remarked else taken,
        "refused": status.outcomes.get("REFUSED", 0),
        "set apart at the hub": status.outcomes.get("QUARANTINED", 0),
        "waiting for an agreement": status.outcomes.get("WAITING", 0),
        "not yet heard of": status.unheard,
        "waiting to be sent": f"{status.outbox_pending}{waiting}",
        "parked": ", ".join(f"{number} {why}" for why, number in status.outbox_parked.items()) or 0,
    }


def _feed(status: ConnectorStatus) -> None:
    if not status.messages:
        return
    newest = status.messages[0]
    words = " ".join(
        filter(
            None, [newest.meaning, *(each.meaning for each in newest.reasons), newest.advice, _advice(newest.reasons)]
        )
    )
    colour = "bold red" if status.paused else "green"
    people.print(f"[{colour}]{newest.kind}[/] {at(newest.at)}: {escape(words)}", highlight=False)


def _row(each: Reconciliation) -> dict[str, object]:
    remarks = []
    if each.day is None:
        remarks.append("the hub counts a day when the first record of a later day comes in")
    elif each.verdict == "different":
        remarks.append("all of it is named below" if each.explained else "not all of it can be named from here")
    if each.unknown:
        remarks.append(f"the hub knows {each.unknown} cases that this state does not")
    if each.later and each.day:
        remarks.append(f"{each.later} statements came later")
    return {
        "area": each.area,
        "organisation": each.organisation,
        "as of the end of": each.day,
        "hub": each.hub_count if each.day else "",
        "source": each.own_count if each.day else "",
        "verdict": each.verdict.replace("_", " "),
        "remark": lines(remarks),
    }


def _advice(reasons: Sequence[Reason]) -> str:
    return lines(dict.fromkeys(each.advice for each in reasons if each.advice))
