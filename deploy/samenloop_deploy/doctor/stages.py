"""The running hub: stages and what they leave lying, by their own tables and by the broker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, LiteralString

from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.finding import CannotTell, Said, fine, some, span, warn, wrong
from samenloop_deploy.doctor.scene import Scene
from samenloop_schemas.dates import dutch_day

if TYPE_CHECKING:
    from samenloop_deploy.quarantine.records import Entry

STAGES: Final = ("intake", "clients", "overlaps", "views")
PROCESSES: Final = {
    **{f"samenloop stage {name}": f"stage run {name}" for name in STAGES},
    "samenloop notifier ear": "notify",
    "samenloop web changes": "web",
}
"""How a process names its session at the database, and the command that starts it."""
LATE_SECONDS: Final = 60.0
"""Waiting for longer than this, records or events are late: each step takes less than a second."""
NOTICE_LATE_SECONDS: Final = 300.0
_TAKEN_WITHIN_S: Final = 5.0
_DUE: Final[LiteralString] = """SELECT count(*) FROM due_notice d
WHERE NOT EXISTS (SELECT FROM notice_sent s
    WHERE s.area = d.area AND s.notice_id = d.notice_id AND s.kind = 'NOTICE_DELIVERED')
AND NOT EXISTS (SELECT FROM notifier.delivery n WHERE n.area = d.area AND n.notice_id = d.notice_id)"""
QUARANTINE_MANY: Final = 100
_TOO_NEW: Final = "unknown_schema"
_Place = tuple[str, int]


def running(scene: Scene) -> Said:
    """Every process of the hub keeps a session at the database, under its name."""
    names = list(PROCESSES)
    rows = scene.database.execute(
        "SELECT DISTINCT application_name FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = ANY(%s)",
        (names,),
    ).fetchall()
    if missing := [command for name, command in PROCESSES.items() if (name,) not in rows]:
        return wrong(
            f"not at the database: {some(missing, 6)}",
            f"start `samenloop {missing[0]}`, or read why it ended: the last line of its log says so",
        )
    return fine(f"{len(rows)} processes")


def lag(scene: Scene) -> Said:
    """Records that wait, and since when. What waits for a moment only is work, not lag."""
    late: list[str] = []
    for stage in _known(scene):
        held = {topic for (topic,) in _rows(scene, stage, "SELECT topic FROM paused_input WHERE until > now()")}
        waiting = {p: (at, end) for p, at, _, end in _standings(scene, stage) if at < end and p[0] not in held}
        if not waiting:
            continue
        oldest = _age_of(scene, {place: at for place, (at, _) in waiting.items()})
        if oldest > LATE_SECONDS:
            count = sum(end - at for at, end in waiting.values())
            late.append(f"{stage}: {count} records wait, the oldest for {span(oldest)}")
    if late:
        return wrong(
            some(late),
            "is the stage running? Its log and samenloop_retries_total say what holds it; "
            "nothing is lost, it catches up by itself",
        )
    return fine("nothing waits")


def positions(scene: Scene) -> Said:
    """A position belongs to one log: another cluster, a topic made anew or a shorter log is another."""
    off = []
    for stage in _known(scene):
        for topic, cluster_id, topic_id in _rows(scene, stage, "SELECT topic, cluster_id, topic_id FROM input_log"):
            if cluster_id != scene.cluster["cluster_id"]:
                off.append(f"{stage} was at another cluster")
                break
            if topic not in scene.seen:
                off.append(f"{stage}: {topic} is gone")
            elif str(scene.seen[topic]["topic_id"]) != str(topic_id):
                off.append(f"{stage}: {topic} was made anew")
        else:
            for (topic, part), at, first, end in _standings(scene, stage):
                if at > end:
                    off.append(f"{stage}: {topic}/{part} ends at {end}, the position is {at}")
                elif at < first:
                    off.append(f"{stage}: {topic}/{part} starts at {first}, the position is {at}")
    if off:
        return wrong(
            some(off),
            "is SAMENLOOP_KAFKA_BOOTSTRAP the right broker? If so, stop the stage and run "
            "`samenloop stage rebase STAGE --to earliest` (docs/operations.md, Positions)",
        )
    return fine("each belongs to its log")


def outboxes(scene: Scene) -> Said:
    late = []
    for stage in _known(scene):
        ((count, age),) = _rows(
            scene,
            stage,
            "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM outbox",
        )
        if age > LATE_SECONDS:
            late.append(f"{stage}: {count} events, the oldest {span(age)} old")
    if late:
        return wrong(
            f"what was decided does not reach the broker: {some(late)}",
            "is the stage running, and may it write its topics? Its log says why the broker does not confirm",
        )
    return fine("empty, or nearly")


def quarantine(scene: Scene) -> Said:
    """What was set apart and nobody has decided on."""
    waiting = [(entry.partner, reason) for entry in _set_apart(scene) for reason in entry.reasons if reason != _TOO_NEW]
    if len(waiting) > QUARANTINE_MANY:
        kinds = [f"{count} {partner} {reason}" for (partner, reason), count in Counter(waiting).most_common()]
        todo = "`samenloop quarantine list` shows what and why; mend it at the source, then `retry` or `discard`"
        return warn(f"{len(waiting)} records: {some(kinds)}", todo)
    return fine(f"{len(waiting)} records that somebody has yet to decide on" if waiting else "nothing open")


def schemas(scene: Scene) -> Said:
    """Records written by a newer release than reads them."""
    found = Counter(entry.partner for entry in _set_apart(scene) if _TOO_NEW in entry.reasons)
    if found:
        return wrong(
            f"records in a schema that this release does not know: {some([f'{n} from {p}' for p, n in found.items()])}",
            "bring the hub to the newest release, then `samenloop quarantine retry --reason unknown_schema`; "
            "is it noise and no release of ours, `discard` it",
        )
    return fine("all known")


def _set_apart(scene: Scene) -> list[Entry]:
    """The open entries of all quarantine topics."""
    from kafka.errors import KafkaError

    from samenloop_deploy.quarantine.reading import NotReadable, look

    def find() -> list[Entry]:
        try:
            return [entry for entry in look(scene.let_in(), scene.topics) if entry.state == "open"]
        except (NotReadable, KafkaError, TimeoutError) as no:
            raise CannotTell(f"this user may not look into quarantine ({type(no).__name__})") from None

    return scene.once("quarantine", find)


def paused(scene: Scene) -> Said:
    found = [
        f"{topic} until {until.astimezone(UTC):%H:%M} UTC ({bad} of the last {seen} records were bad)"
        for stage in _known(scene)
        for topic, bad, seen, until in _rows(
            scene, stage, "SELECT topic, bad, seen, until FROM paused_input WHERE until > now()"
        )
    ]
    if found:
        return wrong(
            f"paused for bad input: {some(found)}",
            "call the partner: its last release or delivery is broken. It goes on by itself then; the others flow on",
        )
    return fine("no partner")


def notices(scene: Scene) -> Said:
    """Due by what views holds, not delivered by what the notifier wrote down."""
    if scene.database.execute("SELECT to_regclass('notifier.delivery')").fetchone() == (None,):
        raise CannotTell("the notifier has not run yet")
    if not scene.readable("notifier"):
        raise CannotTell("this role may not look at deliveries")
    row = scene.database.execute(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(taken_at)), 0)::float8 FROM notifier.delivery WHERE step < 3"
    ).fetchone()
    assert row
    if row[1] > NOTICE_LATE_SECONDS:
        return wrong(
            f"{row[0]} notices are on their way for up to {span(row[1])}",
            "is the notifier running, and may it write notices.* and decisions? Each is sent once, when it can",
        )
    give_up = time.monotonic() + _TAKEN_WITHIN_S
    while due := _rows(scene, "views", _DUE)[0][0]:
        if time.monotonic() > give_up:
            return wrong(f"{due} notices are due and nobody takes them up", "start `samenloop notify`, or read its log")
        time.sleep(0.25)
    return fine("none waits")


def clock(scene: Scene) -> Said:
    """The hub's only today is the clock's: without it no deadline comes and nothing ends."""
    rows = _rows(scene, "views", "SELECT area, day FROM clock_day")
    if not rows:
        return wrong("no day was ever begun", "start `samenloop clock --area ...` for every area")
    today = dutch_day(datetime.now(UTC))
    behind = [f"{area} is at {day}" for area, day in sorted(rows) if day < today]
    if behind:
        return wrong(
            f"{some(behind)}; today is {today}",
            "start `samenloop clock --area ...`: it tells the days that were missed, in order",
        )
    return fine(f"{today} in {len(rows)} areas")


def silent_feeds(scene: Scene) -> Said:
    """Against how long each partner may be silent (topology.yaml), a weekly list longer than an hourly poll."""
    rows = _rows(
        scene, "views", "SELECT partner, extract(epoch FROM now() - max(heard_at))::float8 FROM feed GROUP BY partner"
    )
    heard = {partner: float(age) for partner, age in rows}
    partners = scene.topology.partners
    silent = [
        f"{name} for {span(heard[name])} (its rhythm allows {span(partner.silent_after_hours * 3600)})"
        for name, partner in partners.items()
        if name in heard and heard[name] > partner.silent_after_hours * 3600
    ]
    never = [name for name in partners if name not in heard]
    if silent:
        return wrong(
            f"silent: {some(silent)}",
            "call the partner; there, `samenloop connector status` and `samenloop doctor --connector FILE` say why",
        )
    if never:
        return warn(
            f"never heard of: {some(never, 8)}",
            "start its connector, or look there with `samenloop doctor --connector FILE`",
        )
    return fine(f"{len(heard)} partners, the last heard {span(min(heard.values(), default=0.0))} ago")


def _known(scene: Scene) -> list[str]:
    """The stages whose state this role may see. Raises `CannotTell` when there is none."""
    found, reason = [], "no stage has run on this database yet"
    for stage in STAGES:
        try:
            if scene.live(stage) is not None:
                found.append(stage)
        except CannotTell as no:
            reason = str(no)
    if not found:
        raise CannotTell(reason)
    return found


def _rows(scene: Scene, stage: str, query: LiteralString) -> list[tuple[Any, ...]]:
    """From a stage's live tables. Raises `CannotTell` where there are none."""
    schema = scene.live(stage)
    if schema is None:
        raise CannotTell(f"stage {stage} has not run yet")
    with scene.database.transaction():
        scene.database.execute("SELECT set_config('search_path', %s, true)", (f'"{schema}"',))
        return scene.database.execute(query).fetchall()


def _standings(scene: Scene, stage: str) -> Iterator[tuple[_Place, int, int, int]]:
    """Place, position, first offset kept and next offset to be written."""
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    at = {(topic, part): n for topic, part, n in _rows(scene, stage, "SELECT topic, partition, next FROM position")}
    parts = [TopicPartition(*place) for place in at if place[0] in scene.seen]
    try:
        first, end = scene.bounds(parts)
    except KafkaError as error:
        raise CannotTell(f"this user may not look at the inputs of {stage} ({type(error).__name__})") from None
    for part in parts:
        place = (part.topic, part.partition)
        yield place, at[place], first[part], end[part]


def _age_of(scene: Scene, offsets: Mapping[_Place, int]) -> float:
    """Seconds since the oldest of these records was written; 0 when none could be read."""
    from kafka import TopicPartition
    from kafka.errors import KafkaError

    consumer, oldest = scene.consumer, 0.0
    now = datetime.now(UTC).timestamp()
    left = {TopicPartition(*place): offset for place, offset in offsets.items()}
    try:
        consumer.assign(list(left))
        for part, offset in left.items():
            consumer.seek(part, offset)
        for _ in range(10):
            for part, records in consumer.poll(timeout_ms=500, max_records=500).items():
                if left.pop(part, None) is not None:
                    oldest = max(oldest, now - records[0].timestamp / 1000)
                    consumer.pause(part)
            if not left:
                break
    except KafkaError as error:
        raise CannotTell(f"this user may not read what waits ({type(error).__name__})") from None
    return oldest


CHECKS: Mapping[str, Check] = {
    "processes": running,
    "lag": lag,
    "positions": positions,
    "outboxes": outboxes,
    "quarantine": quarantine,
    "schema ids": schemas,
    "paused partners": paused,
    "notices": notices,
    "clock days": clock,
    "silent feeds": silent_feeds,
}
