"""What intake says: accepted statements, encrypted under the keys of their case and person, and receipts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from samenloop_processors.engine.api import Incoming, Tx
from samenloop_processors.intake.domain.ledger import Emission, Told
from samenloop_processors.intake.domain.persons import MatchingKey, identity_facts, involvement_facts
from samenloop_processors.keys import DataKey, Destroyed, KeyKind, KeyStore
from samenloop_schemas import codec, envelope
from samenloop_schemas.codes import ReceiptCode, ReceiptKind
from samenloop_schemas.headers import cloud_event, source_urn
from samenloop_schemas.ids import receipt_id
from samenloop_schemas.records import AcceptedStatement, InvolvementFacts, Receipt, SealedPerson
from samenloop_schemas.topics import Topics

SOURCE = source_urn("0" * 20, "samenloop")
Counts = Counter[tuple[str, str, str]]
"""Receipts by partner, kind and code."""
_Keys = dict[bytes, DataKey | Destroyed]


class Speaker:
    """Puts statements and receipts in the outbox."""

    def __init__(self, topics: Topics, keys: KeyStore, matching: MatchingKey) -> None:
        self._topics = topics
        self._keys = keys
        self._matching = matching

    def say(self, tx: Tx, effects: Sequence[tuple[Incoming, Emission | Told]]) -> Counts:
        """Everything that follows from a batch, in order. All keys are fetched or made first, two trips at most.

        A statement of a case or a person whose key was destroyed is not stated, and its receipt says so.
        """
        emissions = [effect for _, effect in effects if isinstance(effect, Emission)]
        cases = self._keys.create_many(KeyKind.CASE, [e.case.subject() for e in emissions]) if emissions else {}
        subjects = [subject for e in emissions for subject in _persons(e)]
        persons = self._keys.create_many(KeyKind.PERSON, subjects) if subjects else {}
        counts: Counts = Counter()
        erased = set()
        for record, effect in effects:
            if isinstance(effect, Emission):
                statement = self._accepted(effect, cases, persons)
                if statement is None:
                    erased.add(effect.entry.statement_id)
                    continue
                headers = cloud_event(
                    statement.statement_id, AcceptedStatement, SOURCE, statement.recorded_at, _trace(record)
                )
                tx.send(self._topics.involvements, statement.area, codec.encode(statement), headers)
            else:
                counts.update(self._told(tx, effect, effect.entry.statement_id in erased))
        return counts

    def receipt(self, tx: Tx, partner: str, receipt: Receipt) -> Counts:
        headers = cloud_event(receipt.receipt_id, Receipt, SOURCE, receipt.recorded_at)
        tx.send(self._topics.receipts(partner), receipt.area, codec.encode(receipt), headers)
        return Counter({(partner, receipt.kind.value, code): 1 for code in (receipt.codes or ("none",))})

    def _told(self, tx: Tx, told: Told, erased: bool) -> Counts:
        case, entry, kind, codes = told.case, told.entry, told.kind, told.codes
        if erased:
            kind, codes = ReceiptKind.REFUSED, (*codes, ReceiptCode.ERASED)
        receipt = Receipt(
            receipt_id=receipt_id(case.partner, entry.statement_id, [kind, *codes]),
            area=case.area,
            kind=kind,
            statement_id=entry.statement_id,
            organisation=case.organisation,
            case_ref=case.case_ref,
            revision=entry.revision,
            codes=codes,
            agreement_version=entry.agreement_version,
            recorded_at=entry.recorded_at,
        )
        return self.receipt(tx, case.partner, receipt)

    def _accepted(self, emission: Emission, cases: _Keys, persons: _Keys) -> AcceptedStatement | None:
        case, entry = emission.case, emission.entry
        case_key, person_key = cases[case.subject()], persons[case.person_subject(entry.person_ref)]
        if not isinstance(case_key, DataKey) or not isinstance(person_key, DataKey):
            return None
        sid = entry.statement_id
        involvement_id, person_id = case_key.derive_id("involvement"), person_key.derive_id("person")
        identity: bytes | None = None
        related: tuple[SealedPerson, ...] = ()
        identity_revision = 0
        opened, verdict = emission.opened, emission.verdict
        if opened is None or verdict is None or verdict.agreement is None:
            facts = InvolvementFacts(
                involvement_id=involvement_id,
                source_person_id=person_id,
                organisation=case.organisation,
                source_system=case.source_system,
                case_ref=case.case_ref,
                status=entry.status,
            )
        else:
            facts = involvement_facts(opened.statement, verdict.agreement, involvement_id, person_id)
            if verdict.use_identity and opened.identity is not None:
                identity_revision = opened.statement.identity_revision
                identity, related = self._identities(emission, person_key, persons)
        return AcceptedStatement(
            area=case.area,
            statement_id=sid,
            partner=case.partner,
            revision=entry.revision,
            identity_revision=identity_revision,
            stated_at=entry.stated_at,
            recorded_at=entry.recorded_at,
            agreement_version=entry.agreement_version,
            case_key_id=case_key.key_id,
            person_key_id=person_key.key_id,
            facts=envelope.close_facts(case_key.key, sid, facts),
            identity=identity,
            related=related,
        )

    def _identities(self, emission: Emission, own: DataKey, persons: _Keys) -> tuple[bytes, tuple[SealedPerson, ...]]:
        """The person's identity and those of the persons named beside him, each under his own key; erased ones are left out."""
        opened, verdict, case, sid = emission.opened, emission.verdict, emission.case, emission.entry.statement_id
        assert opened is not None
        assert opened.identity is not None
        assert verdict is not None
        assert verdict.agreement is not None
        organisation = verdict.agreement.organisation(case.organisation)
        matching = self._matching if organisation and organisation.may_send_bsn(case.partner) else None
        relations, related = [], []
        for relation, person in zip(opened.statement.relations, opened.related, strict=True):
            key = persons[case.person_subject(relation.person_ref)]
            if not isinstance(key, DataKey):
                continue
            person_id, revision = key.derive_id("person"), relation.identity_revision
            relations.append((relation.kind, person_id))
            if person is not None:
                facts = identity_facts(person, person_id, case.source, revision, matching)
                block = envelope.close_related(key.key, sid, key.key_id, facts)
                related.append(SealedPerson(key.key_id, revision, block))
        facts = identity_facts(
            opened.identity,
            own.derive_id("person"),
            case.source,
            opened.statement.identity_revision,
            matching,
            relations,
        )
        return envelope.close_identity(own.key, sid, facts), tuple(related)


def _persons(emission: Emission) -> Iterable[bytes]:
    yield emission.case.person_subject(emission.entry.person_ref)
    if emission.opened is not None and emission.opened.identity is not None:
        for relation in emission.opened.statement.relations:
            yield emission.case.person_subject(relation.person_ref)


def _trace(record: Incoming) -> str | None:
    """The trace of the record that a statement came in with, handed on when it has the form of one."""
    value = next((value for name, value in record.headers if name == "traceparent"), b"")
    return value.decode("ascii") if len(value) == 55 and value.isascii() else None
