"""A connector at a partner: from its file and its state, beside the running process, without disturbing it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from samenloop_deploy.doctor import agreements
from samenloop_deploy.doctor.finding import CannotTell, Said, away, fine, some, span, warn, wrong
from samenloop_deploy.doctor.scene import Edge, Scene

if TYPE_CHECKING:
    from samenloop_connectors.app import Loaded
    from samenloop_connectors.sdk.config import ConnectorConfig
    from samenloop_connectors.sdk.status import ConnectorStatus

NEEDED_DISK_GB: Final = 0.5
LATE_POLLS: Final = 3
"""So many rhythms without a complete reading, and the source counts as silent."""
LEAST_LATE_SECONDS: Final = 60.0
BY_FILE: Final = frozenset({"backoffice", "mee"})
"""Kinds that are only read when a file is delivered: how long that may take is the partner's rhythm, not the poll's."""
WAITS_TOO_LONG_S: Final = 300.0
SET_ASIDE_MANY: Final = 0.05
"""Share of the cases with something set aside, above which it is no daily slip of the pen."""
REFUSED_MANY: Final = 0.25
"""Share of the cases that the hub refused, above which something is wrong in general."""

EdgeCheck = Callable[[Scene, Edge], Said]


def configuration(scene: Scene, edge: Edge) -> Said:
    """The file alone, and the edge's keys: both at once, as the connector would."""
    from samenloop_connectors.app import load_config
    from samenloop_connectors.sdk.config import EdgeSettings
    from samenloop_connectors.sdk.errors import ConfigurationError

    try:
        config = load_config(edge.config)
    except ConfigurationError as error:
        return wrong("; ".join(error.problems) or str(error), f"correct {edge.config}")
    try:
        _settings(EdgeSettings, edge)
    except ValidationError as error:
        names = [f"SAMENLOOP_{problem['loc'][0]}".upper() for problem in error.errors()]
        return wrong(
            f"missing or no key: {', '.join(names)}", "each is the base64 of 32 bytes; the hub gives the public key"
        )
    return fine(f"{config.connector}, for {len(getattr(config, 'organisations', ()))} organisations")


def state(scene: Scene, edge: Edge) -> Said:
    """The state file: there, ours to write, with room to grow, and made under this edge secret."""
    loaded = _loaded(edge)
    folder, file = loaded.config.state_dir, loaded.config.state_dir / "edge.sqlite"
    if not file.exists():
        return warn(
            f"{folder} holds no state: the connector has not run here, or it was lost",
            "lost? Restore a backup; without one it reads everything again, which does no harm but takes its time",
        )
    if not os.access(file, os.R_OK | os.W_OK):
        return wrong(f"{file} is not ours to write", "run as the connector's user, or give it the file")
    if (free := shutil.disk_usage(folder).free / 1024**3) < NEEDED_DISK_GB:
        return wrong(f"{free:.1f} GB free beside {file}", "make room: without it nothing can be read or sent")
    try:
        _status(edge)
    except CannotTell as no:
        return wrong(
            str(no),
            "set SAMENLOOP_EDGE_SECRET to the secret under which the state was made: under another one every case "
            "would be a new one to the hub",
        )
    return fine(f"{file.stat().st_size // 1024} KB, opens with this edge secret")


def source(scene: Scene, edge: Edge) -> Said:
    """Reaches it and logs in; reads no data."""
    from samenloop_connectors.app import make_connector
    from samenloop_connectors.sdk.errors import ConfigurationError, TransientError

    connector = make_connector(_config(edge))
    try:
        return fine(some(connector.check(), 3))
    except ConfigurationError as error:
        return wrong("; ".join(error.problems) or str(error), f"correct {edge.config}, or the account at the source")
    except TransientError as error:
        return away(str(error), "look at the source and the way to it; the connector tries again by itself")
    finally:
        if close := getattr(connector, "close", None):
            close()


def rhythm(scene: Scene, edge: Edge) -> Said:
    """Each stream was read to its end within a few rhythms, and the last attempt did not fail."""
    streams = _status(edge).streams
    if not streams:
        raise CannotTell("nothing was read yet")
    late_after = _late_after(scene, _config(edge))
    now, silent, failing = datetime.now(UTC), [], []
    for stream in streams:
        if stream.failure:
            failing.append(f"{stream.stream}: {stream.failure}")
        elif stream.succeeded_at is None or (now - stream.succeeded_at).total_seconds() > late_after:
            since = span((now - stream.succeeded_at).total_seconds()) if stream.succeeded_at else "ever"
            silent.append(f"{stream.stream} for {since}")
    if failing:
        return wrong(some(failing, 2), "the reason is in the line; the connector tries again by itself")
    if silent:
        return wrong(
            f"not read: {some(silent)}",
            "is it running (`samenloop connector run`)? Does the source still deliver?",
        )
    return fine(f"{len(streams)} streams read within {span(late_after)}")


def _late_after(scene: Scene, config: ConnectorConfig) -> float:
    """Seconds without a complete reading that are too many."""
    if config.connector in BY_FILE and (partner := scene.topology.partners.get(config.partner)):
        return 3600.0 * partner.silent_after_hours
    return max(LEAST_LATE_SECONDS, LATE_POLLS * config.poll_seconds)


def sending(scene: Scene, edge: Edge) -> Said:
    held = _status(edge)
    if held.outbox_oldest_at and (age := time.time() - held.outbox_oldest_at.timestamp()) > WAITS_TOO_LONG_S:
        return wrong(
            f"{held.outbox_pending} statements wait for the broker, the oldest for {span(age)}",
            "`samenloop connector check` says whether the broker lets us in; they go by themselves when it does",
        )
    return fine(f"{held.outbox_pending} statements on their way" if held.outbox_pending else "everything is at the hub")


def set_aside(scene: Scene, edge: Edge) -> Said:
    status = _status(edge)
    held = status.set_aside
    if len(held) > SET_ASIDE_MANY * status.cases:
        kinds = sorted({f"{item.code} {item.field}".strip() for item in held})
        return warn(
            f"{len(held)} rows, messages or events lie apart: {some(kinds)}",
            "`samenloop quarantine list --config FILE` says which; mend them at the source, the next reading takes them",
        )
    return fine(f"{len(held)} of {status.cases} cases, as happens; `connector status` names them" if held else "none")


def answers(scene: Scene, edge: Edge) -> Said:
    """What the hub said of the cases: refusals one by one are the partner's daily work, many at once a fault."""
    held = _status(edge)
    refused, all_of_them = held.outcomes.get("REFUSED", 0), sum(held.outcomes.values())
    if refused and refused > REFUSED_MANY * all_of_them:
        codes = sorted({code for refusal in held.refusals for code in refusal.codes})
        return wrong(
            f"{refused} of {all_of_them} cases were refused: {some(codes)}",
            "`samenloop connector status` says per code what to do; UNKNOWN_* and WRONG_SENDER: compare with the agreement",
        )
    if held.outcomes.get("QUARANTINED"):
        return warn(
            f"{held.outcomes['QUARANTINED']} cases are in quarantine at the hub",
            "is SAMENLOOP_HUB_PUBLIC_KEY the hub's own? If it is, the hub's operators retry them",
        )
    return fine(f"{all_of_them} cases answered, {refused} refused, {held.unheard} not yet answered")


def agreement(scene: Scene, edge: Edge) -> Said:
    """Each organisation of the file, as the agreement in force knows it."""
    config, off = _config(edge), []
    try:
        book = agreements.book_of(scene)
        in_force = {area: book.in_force(area, agreements.today()) for area in book.areas()}
    except CannotTell:
        in_force = {a.area: a for a in agreements.files_of(scene)}
    for organisation in getattr(config, "organisations", ()):
        name, found = f"{organisation.id} ({organisation.area})", in_force.get(organisation.area)
        known = found.organisation(organisation.id) if found else None
        if found is None:
            off.append(f"{name}: no agreement in force for this area")
        elif known is None:
            off.append(f"{name} takes no part in it")
        elif not known.may_send(config.partner):
            off.append(f"{name} may not be spoken for by {config.partner}")
        elif organisation.consent != known.consent:
            off.append(f"{name}: consent is {known.consent} there and {organisation.consent} here")
    if off:
        return wrong(some(off, 3), f"correct {edge.config}, or ask the hub's operators what the agreement says")
    return fine("every organisation of the file takes part")


def _settings(kind: type[BaseSettings], edge: Edge) -> Any:
    """From the connector's own environment, which need not be ours. Raises ValidationError."""
    prefix = str(kind.model_config.get("env_prefix", ""))
    given = {name: edge.environment.get((prefix + name).upper()) for name in kind.model_fields}
    return kind.model_validate({name: value for name, value in given.items() if value is not None})


def _config(edge: Edge) -> ConnectorConfig:
    from samenloop_connectors.app import load_config
    from samenloop_connectors.sdk.errors import ConfigurationError

    try:
        return load_config(edge.config)
    except ConfigurationError:
        raise CannotTell("its configuration is not in order") from None


def _loaded(edge: Edge) -> Loaded:
    from samenloop_connectors.app import Loaded
    from samenloop_connectors.sdk.config import EdgeSettings
    from samenloop_schemas.kafka_access import KafkaAccess

    try:
        return Loaded(_config(edge), _settings(EdgeSettings, edge), _settings(KafkaAccess, edge))
    except ValidationError:
        raise CannotTell("its settings are not complete") from None


def _status(edge: Edge) -> ConnectorStatus:
    """What the state file holds. Raises `CannotTell` when there is none, or it was made under another edge secret."""
    from samenloop_connectors.app import connector_status
    from samenloop_connectors.sdk.errors import ConfigurationError

    loaded = _loaded(edge)
    if not (loaded.config.state_dir / "edge.sqlite").exists():
        raise CannotTell("it has not run here yet")
    try:
        return connector_status(loaded)
    except ConfigurationError as error:
        raise CannotTell(str(error)) from None


CHECKS: Mapping[str, EdgeCheck] = {
    "configuration": configuration,
    "state file": state,
    "source": source,
    "readings": rhythm,
    "sending": sending,
    "set aside": set_aside,
    "answers": answers,
    "agreement": agreement,
}
