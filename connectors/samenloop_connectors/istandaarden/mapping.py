"""What the messages of one case mean: pure, from its parts to a case report.

Names and dates come whole from the newest standing 301, which is the municipality's and has an address and relations; without
one from the newest start or stop. Parties may write a client differently (OP039), so the two are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from samenloop_connectors.istandaarden import persons
from samenloop_connectors.istandaarden.codes import END_REASONS
from samenloop_connectors.istandaarden.config import IstandaardenConfig, Law, Provider
from samenloop_connectors.istandaarden.standing import Case, Chain, Note, case_of
from samenloop_connectors.sdk.connector import Payload
from samenloop_connectors.sdk.errors import DataError, NotYet
from samenloop_producers.statement import CaseReport
from samenloop_schemas.codes import Consent, Domain, EndReason, Sensitivity, Status
from samenloop_schemas.dates import after_last_day
from samenloop_schemas.records import EPOCH

_LEGAL_BASES: Final[Mapping[Law, str]] = {"JW": "jw_7_1", "WMO": "wmo_5_2"}
_STRICTNESS = (Sensitivity.NORMAL, Sensitivity.SENSITIVE, Sensitivity.PROTECTED)
_DIED = "02"
_FOR_EVER = 30
"""Years: an allocation until 9999 has no expected end."""


@dataclass(frozen=True, slots=True)
class _About:
    """What is the same of all involvements of a case."""

    config: IstandaardenConfig
    provider: Provider
    case_number: str
    municipality: str
    law: Law
    case: Case


def law_of(case_number: str) -> tuple[str, Law]:
    """Municipality and law by which a case number begins."""
    municipality, law, *_ = case_number.split("/")
    return municipality, "JW" if law == "JW" else "WMO"


def report(
    config: IstandaardenConfig, provider: Provider, case_number: str, parts: Mapping[str, Payload]
) -> CaseReport:
    """What all messages of a case say together. Raises DataError, NotYet as long as only deletions or returns are known."""
    municipality, law = law_of(case_number)
    case = case_of(parts)
    if not case.notes:
        raise NotYet
    about = _About(config, provider, case_number, municipality, law, case)
    earlier = {chain.begin: chain for chain in case.chains[:-1]}
    besides = tuple(
        _involvement(about, earlier[begin], number)
        if begin in earlier
        else _retracted(about, _newest(case, begin), number)
        for begin, number in sorted((begin, f"{case_number}/{begin}") for begin in case.begins)
    )
    if case.chains:
        main = _involvement(about, case.chains[-1], case_number)
    elif case.allocation is not None:
        main = _announced(about, case.allocation)
    else:
        main = _retracted(about, case.notes[-1], case_number)
    return replace(main, besides=besides)


def _involvement(about: _About, chain: Chain, number: str) -> CaseReport:
    newest = max(chain.notes, key=lambda note: (note.content["begin"], *note.rank))
    base = _base(about, about.case.allocation or newest, newest, number)
    reason = END_REASONS[about.law][chain.stop.content["reason"]] if chain.stop else EndReason.NONE
    if chain.last_day is not None:
        return replace(
            _with_person(about, base, chain, deceased=reason is EndReason.DECEASED),
            status=Status.ENDED,
            starts_on=chain.begin,
            ends_on=after_last_day(chain.last_day),
            end_reason=reason,
        )
    return replace(
        _with_person(about, base, chain),
        status=Status.PAUSED if chain.paused else Status.ACTIVE,
        starts_on=chain.begin,
        expected_end_on=_expected_end(about.case.allocation, chain.begin),
    )


def _announced(about: _About, allocation: Note) -> CaseReport:
    begin = date.fromisoformat(allocation.content["begin"])
    base = _base(about, allocation, allocation, about.case_number)
    return replace(
        _with_person(about, base),
        status=Status.ANNOUNCED,
        starts_on=begin,
        expected_end_on=_expected_end(allocation, begin),
    )


def _retracted(about: _About, note: Note, number: str) -> CaseReport:
    base = _base(about, note, note, number)
    return replace(base, status=Status.RETRACTED, end_reason=EndReason.WRONGLY_MADE)


def _base(about: _About, named_by: Note, note: Note, number: str) -> CaseReport:
    product = about.config.product(about.provider, about.law, note.content["category"])
    if product.service_group is None:
        raise DataError("no_involvement", "Categorie")
    strictest = max(Sensitivity(about.provider.sensitivity), Sensitivity(product.sensitivity), key=_STRICTNESS.index)
    return CaseReport(
        area=about.provider.area,
        organisation=about.provider.id,
        case_number=number,
        person_number=named_by.client["bsn"],
        version=EPOCH,
        status=Status.UNKNOWN,
        domain=Domain(about.law),
        service_group=product.service_group,
        contact=about.provider.route(""),
        legal_basis=about.config.legal_bases.get(about.law, _LEGAL_BASES[about.law]),
        purpose=about.config.purpose,
        consent=Consent.UNKNOWN,
        sensitivity=strictest,
    )


def _with_person(about: _About, base: CaseReport, chain: Chain | None = None, *, deceased: bool = False) -> CaseReport:
    """The report with the client and his family, where the organisation's consent rule lets them leave."""
    if about.provider.consent == "required":
        return base
    notes = [about.case.allocation] if about.case.allocation else list(chain.notes if chain else ())
    note = max(notes, key=lambda each: each.rank)
    died = deceased or (note.kind == "301" and note.content["change"] == _DIED)
    return replace(
        base,
        identity=persons.identity(note.client, about.municipality, note.day, deceased=died),
        relations=persons.relations(note.client, about.municipality, note.day),
    )


def _expected_end(allocation: Note | None, begin: date) -> date | None:
    last_day: Any = allocation.content["end"] if allocation else ""
    if not last_day or last_day < begin.isoformat() or int(last_day[:4]) > begin.year + _FOR_EVER:
        return None
    return after_last_day(date.fromisoformat(last_day))


def _newest(case: Case, begin: date) -> Note:
    """The newest that was ever told under a first day."""
    return [note for note in case.notes if note.content["begin"] == begin.isoformat() and note.kind != "301"][-1]
