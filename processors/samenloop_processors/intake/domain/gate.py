"""The verdict on one statement by itself: sender, codes, dates, agreement, consent, identity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from samenloop_processors.agreement import Agreement, AgreementBook, Organisation
from samenloop_schemas.codes import Consent, Domain, ReceiptCode, Status
from samenloop_schemas.dates import PartialDate, dutch_day
from samenloop_schemas.ids import is_code
from samenloop_schemas.records import Contact, InvolvementStatement, PersonIdentity

_REF = re.compile(r"^[0-9a-f]{32,128}$")
_PHONE = re.compile(r"^[0-9+() \-]{0,24}$")
_EMAIL = re.compile(r"^([^@\s]{1,64}@[^@\s]{1,190})?$")
_TEAM_LENGTH = 80
_FIRST_YEAR, _YEARS_AHEAD = 1900, 30
FINAL = (Status.ENDED, Status.RETRACTED)
_STATED_BY_SOURCES = (Status.ANNOUNCED, Status.ACTIVE, Status.PAUSED, *FINAL)


class Seal(StrEnum):
    """What the seals of a statement turned out to be."""

    ABSENT = "absent"
    OPENED = "opened"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """A statement with its seals opened; the only place in the hub where a BSN is in clear, for as long as a batch lasts."""

    statement: InvolvementStatement
    seal: Seal = Seal.ABSENT
    identity: PersonIdentity | None = None
    related: tuple[PersonIdentity | None, ...] = ()
    """In the order of `statement.relations`."""

    def fits(self) -> bool:
        """Whether every seal was made for this statement and this organisation."""
        said = (self.statement.statement_id, self.statement.organisation)
        return all(
            (person.statement_id, person.organisation) == said for person in (self.identity, *self.related) if person
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """`failed` says why it does not pass; `noticed` what was found on the way. `agreement` is that of the day judged."""

    failed: tuple[ReceiptCode, ...] = ()
    noticed: tuple[ReceiptCode, ...] = ()
    agreement: Agreement | None = None
    use_identity: bool = True

    @property
    def passes(self) -> bool:
        return not self.failed

    @property
    def waits(self) -> bool:
        """There is no agreement for its day, so this is no judgement yet."""
        return self.agreement is None

    @property
    def version(self) -> int:
        return self.agreement.version if self.agreement else 0


def judge(opened: Opened, partner: str, book: AgreementBook) -> Verdict:
    """By the agreement in force on the Dutch day of `stated_at`; ENDED that fails there, once more on its last day."""
    statement = opened.statement
    stated_on = dutch_day(statement.stated_at)
    verdict = _judge_on(opened, partner, book, stated_on)
    if (
        not verdict.passes
        and statement.status is Status.ENDED
        and statement.ends_on
        and _plausible(statement, stated_on)
    ):
        last_day = statement.ends_on - timedelta(days=1)
        if last_day < stated_on:
            second = _judge_on(opened, partner, book, last_day)
            return second if second.passes else verdict
    return verdict


def _judge_on(opened: Opened, partner: str, book: AgreementBook, day: date) -> Verdict:
    statement = opened.statement
    agreement = book.in_force(statement.area, day)
    if agreement is None:
        return Verdict((ReceiptCode.NO_AGREEMENT,))
    organisation = agreement.organisation(statement.organisation)
    if organisation is None:
        return Verdict((ReceiptCode.UNKNOWN_ORGANISATION,), agreement=agreement)
    if not organisation.may_send(partner):
        return Verdict((ReceiptCode.WRONG_SENDER,), agreement=agreement)
    if not _valid_codes(statement):
        return Verdict((ReceiptCode.INVALID_CODE,), agreement=agreement)
    if statement.status is Status.RETRACTED:
        return Verdict(agreement=agreement, use_identity=False)
    failed = [*_content(statement, agreement), *_dates(statement), *_consent(statement, organisation)]
    seal = tuple(_seal(opened))
    if statement.status is Status.ENDED:
        use_identity, noticed = not seal, tuple(code for code in seal if code is not ReceiptCode.IDENTITY_MISSING)
    else:
        use_identity, noticed = True, ()
        failed += seal
    if use_identity and not seal and not _age_fits(opened.identity, statement.domain, agreement, day):
        failed.append(ReceiptCode.AGE_NOT_AGREED)
    return Verdict(tuple(sorted(failed)), noticed, agreement, use_identity)


def names_a_case(statement: InvolvementStatement) -> bool:
    """Whether the names by which a statement would be remembered are codes and hashes, so that no dossier number is one."""
    codes, refs = (
        (statement.area, statement.organisation, statement.source_system),
        (statement.case_ref, statement.person_ref),
    )
    return all(is_code(code) for code in codes) and all(_REF.match(ref) for ref in refs)


def _valid_codes(statement: InvolvementStatement) -> bool:
    """Whether everything that is said in codes is said in codes, so that no free text passes as one."""
    if statement.status not in _STATED_BY_SOURCES or statement.revision <= 0:
        return False
    if statement.status is Status.RETRACTED:
        return True
    return (
        statement.domain is not Domain.UNKNOWN
        and all(is_code(code) for code in (statement.service_group, statement.legal_basis, statement.purpose))
        and all(_REF.match(relation.person_ref) for relation in statement.relations)
        and valid_contact(statement.contact)
    )


def valid_contact(contact: Contact) -> bool:
    """A route, not a text: one short line, a telephone number, an e-mail address; each may be absent."""
    return bool(
        len(contact.team) <= _TEAM_LENGTH
        and (contact.team.isprintable() or not contact.team)
        and _PHONE.match(contact.phone)
        and _EMAIL.match(contact.email)
    )


def _content(statement: InvolvementStatement, agreement: Agreement) -> Iterator[ReceiptCode]:
    if agreement.party_of(statement.organisation, statement.domain, statement.service_group) is None:
        yield ReceiptCode.NO_PARTY
    if statement.legal_basis not in agreement.legal_bases:
        yield ReceiptCode.BASIS_NOT_AGREED
    if statement.purpose not in agreement.purposes:
        yield ReceiptCode.PURPOSE_NOT_AGREED


def _dates(statement: InvolvementStatement) -> Iterator[ReceiptCode]:
    """A running involvement has a start, an ended one a start and an end, and no date is absurd."""
    starts, ends, status = statement.starts_on, statement.ends_on, statement.status
    incomplete = (status is not Status.ANNOUNCED and starts is None) or (status is Status.ENDED and ends is None)
    backwards = starts is not None and any(end and end < starts for end in (ends, statement.expected_end_on))
    if incomplete or backwards or not _plausible(statement, dutch_day(statement.stated_at)):
        yield ReceiptCode.IMPOSSIBLE_DATES


def _plausible(statement: InvolvementStatement, stated_on: date) -> bool:
    """No year before 1900 nor more than thirty years ahead: sources write 1753 or 9999 for "unknown" and "for ever"."""
    days = (statement.starts_on, statement.ends_on, statement.expected_end_on, statement.confirmed_on)
    last = stated_on.year + _YEARS_AHEAD
    return stated_on.year >= _FIRST_YEAR and all(_FIRST_YEAR <= day.year <= last for day in days if day)


def _consent(statement: InvolvementStatement, organisation: Organisation) -> Iterator[ReceiptCode]:
    if statement.consent in (Consent.REFUSED, Consent.WITHDRAWN):
        yield ReceiptCode.CONSENT_REFUSED
    elif organisation.consent == "required" and statement.consent is not Consent.GIVEN:
        yield ReceiptCode.CONSENT_MISSING


def _seal(opened: Opened) -> Iterator[ReceiptCode]:
    person = opened.identity
    if opened.seal is Seal.BROKEN:
        yield ReceiptCode.SEAL_NOT_OPENED
    elif not opened.fits():
        yield ReceiptCode.SEAL_MISMATCH
    elif person is None or not (person.surname or person.partner_surname or person.bsn):
        yield ReceiptCode.IDENTITY_MISSING


def _age_fits(person: PersonIdentity | None, domain: Domain, agreement: Agreement, day: date) -> bool:
    """Whether the person may be of an agreed age on that day. Only an unknown year of birth cannot show it at all."""
    band = agreement.age_bands.get(domain)
    if band is None or person is None:
        return True
    ages = possible_ages(person.birth_date, day)
    return ages is not None and ages[0] < band[1] and ages[1] >= band[0]


def possible_ages(birth: PartialDate, day: date) -> tuple[int, int] | None:
    """Least and greatest age in whole years that the known parts allow; None when the year says nothing.

    An unborn child has age 0 (Jeugdwet 1.1: a child not yet born counts as born).
    """
    if not birth.year or birth.year > day.year + 1:
        return None
    at_most = day.year - birth.year
    first = (birth.month or 1, birth.day or 1)
    last = (birth.month or 12, birth.day or 31)
    today = (day.month, day.day)
    return max(0, at_most - (last > today)), max(0, at_most - (first > today))
