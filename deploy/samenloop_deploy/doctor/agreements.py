"""The agreements: what is published, held against the files, the calendar and the topology."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.finding import CannotTell, Said, fine, some, warn, wrong
from samenloop_deploy.doctor.scene import Scene
from samenloop_schemas.dates import dutch_day

if TYPE_CHECKING:
    from samenloop_processors.agreement import Agreement, AgreementBook

_READ_WITHIN_S: Final = 20.0
PUBLISH = "samenloop agreement publish"


def files(scene: Scene) -> Said:
    from samenloop_processors.agreement import AgreementInvalid

    try:
        agreements = _loaded(scene)
    except AgreementInvalid as invalid:
        return wrong(str(invalid).splitlines()[0], "`samenloop agreement check` tells everything that is wrong")
    return fine(f"{len(agreements)} areas: {', '.join(agreement.area for agreement in agreements)}")


def published(scene: Scene) -> Said:
    """Each file as it stands, or a newer version of it."""
    book, missing, changed, newer = book_of(scene), [], [], []
    for agreement in files_of(scene):
        versions = {p.agreement.version: p.agreement for p in book.versions(agreement.area)}
        if (there := versions.get(agreement.version)) is not None:
            if there.text() != agreement.text():
                changed.append(f"{agreement.area} version {agreement.version}")
        elif versions and max(versions) > agreement.version:
            newer.append(f"{agreement.area} (file {agreement.version}, published {max(versions)})")
        else:
            missing.append(f"{agreement.area} version {agreement.version}")
    if missing:
        return wrong(
            f"not published: {some(missing)}",
            f"`{PUBLISH} {scene.agreement_folder}/<area>.yaml`: statements before it are refused and must come again",
        )
    if changed:
        todo = "a published version never changes: raise `version` in the file, and publish that"
        return wrong(f"the published text is another than the file's: {some(changed)}", todo)
    if newer:
        return warn(f"the files are older than what is published: {some(newer)}", "bring the files up to date")
    return fine(some([f"{a.area} version {a.version}" for a in files_of(scene)], 6))


def in_force(scene: Scene) -> Said:
    book, day = book_of(scene), today()
    if not book.areas():
        raise CannotTell("no agreement is published")
    waiting = [f"{area} from {_begins(book, area)}" for area in book.areas() if book.in_force(area, day) is None]
    if waiting:
        return wrong(
            f"not yet in force: {some(waiting)}",
            "wait for that day, or publish a version with an earlier `valid_from`; until then statements are refused",
        )
    return fine(f"in all of {len(book.areas())} areas on {day}")


def feeds(scene: Scene) -> Said:
    """The topology's partners and organisations, as the agreements in force know them."""
    book, day, off = book_of(scene), today(), []
    if not book.areas():
        raise CannotTell("no agreement is published")
    for partner, known in scene.topology.partners.items():
        for area, organisations in known.organisations.items():
            agreement = book.in_force(area, day)
            if agreement is None:
                off.append(f"{partner} is to work in {area}, which has no agreement in force")
                continue
            off += [
                f"{organisation} ({area}) may not be spoken for by {partner}"
                for organisation in organisations
                if not (said := agreement.organisation(organisation)) or not said.may_send(partner)
            ]
    if off:
        todo = "correct deploy/topology.yaml, or publish an agreement that names them: their statements are refused"
        return wrong(some(off, 3), todo)
    return fine(f"{len(scene.topology.partners)} partners may speak for those whom the topology names")


def today() -> date:
    """The Dutch day: agreements hold from one on."""
    return dutch_day(datetime.now(UTC))


def _begins(book: AgreementBook, area: str) -> date:
    return min(entry.begins for entry in book.versions(area))


def files_of(scene: Scene) -> list[Agreement]:
    from samenloop_processors.agreement import AgreementInvalid

    try:
        return _loaded(scene)
    except AgreementInvalid:
        raise CannotTell("the files themselves are not in order") from None


def _loaded(scene: Scene) -> list[Agreement]:
    """Raises AgreementInvalid."""
    from samenloop_processors.agreement import load_agreement

    found = [load_agreement(path) for path in sorted(scene.agreement_folder.glob("*.yaml"))]
    if not found:
        raise CannotTell(f"{scene.agreement_folder} holds no agreement")
    return found


def book_of(scene: Scene) -> AgreementBook:
    """What is published: as intake knows it where we may look, else from the log of decisions itself."""
    return scene.once("agreements", lambda: _from_intake(scene) or _from_log(scene))


def _from_intake(scene: Scene) -> AgreementBook | None:
    """None where we may not look, or where there is nothing yet: the log may know more."""
    from samenloop_processors.agreement import AgreementBook, Published, parse_agreement

    try:
        schema = scene.live("intake")
    except CannotTell:
        return None
    if schema is None:
        return None
    from psycopg import sql

    rows = scene.database.execute(
        sql.SQL("SELECT text, published_on FROM {}.agreement").format(sql.Identifier(schema))
    ).fetchall()
    return AgreementBook(Published(parse_agreement(text), on) for text, on in rows) if rows else None


def _from_log(scene: Scene) -> AgreementBook:
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    from samenloop_processors.agreement import AgreementBook, AgreementInvalid, Published
    from samenloop_schemas import codec
    from samenloop_schemas.codes import DecisionKind
    from samenloop_schemas.records import Decision

    name, consumer, book = scene.topics.decisions, scene.consumer, AgreementBook()
    if name not in scene.seen:
        raise CannotTell("this user may not read decisions")
    parts = [TopicPartition(name, part["partition_index"]) for part in scene.seen[name]["partitions"]]
    try:
        _, ends = scene.bounds(parts)
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        deadline = time.monotonic() + _READ_WITHIN_S
        while any(consumer.position(part) < ends[part] for part in parts):
            if time.monotonic() > deadline:
                raise CannotTell("the log of decisions is long: set DATABASE_URL, so that intake's tables can be asked")
            for records in consumer.poll(timeout_ms=500).values():
                for record in records:
                    try:
                        decision = codec.decode(record.value or b"", Decision)
                        if decision.kind is DecisionKind.AGREEMENT_PUBLISHED:
                            book.add(Published.of(decision))
                    except (codec.Undecodable, AgreementInvalid):
                        continue
    except KafkaError as error:
        raise CannotTell(f"this user may not read decisions ({type(error).__name__})") from None
    return book


CHECKS: Mapping[str, Check] = {
    "agreement files": files,
    "agreements published": published,
    "agreements in force": in_force,
    "partners in the agreements": feeds,
}
