"""What the command line calls: load a configuration, check it, run a connector, ask how it stands."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from samenloop_connectors.kinds import connector_class
from samenloop_connectors.sdk.config import ConnectorConfig, EdgeSettings, Organisation, problems_of, read_yaml
from samenloop_connectors.sdk.connector import Connector
from samenloop_connectors.sdk.errors import ConfigurationError, TransientError
from samenloop_connectors.sdk.inbox import Listener
from samenloop_connectors.sdk.receipt_words import Language
from samenloop_connectors.sdk.runner import Runner, Taken
from samenloop_connectors.sdk.state import DDL, State
from samenloop_connectors.sdk.status import ConnectorStatus, OwnNotice, own_notices, status
from samenloop_producers.broker import open_consumer
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.metrics import EdgeMetrics
from samenloop_producers.outbox import EdgeStore, only_one
from samenloop_producers.sender import Sender
from samenloop_producers.statement import StatementMaker
from samenloop_schemas import sealing
from samenloop_schemas.headers import source_urn
from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.topics import Topics

log = logging.getLogger(__name__)
_LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that was checked in whole; nothing has been opened yet."""

    config: ConnectorConfig
    edge: EdgeSettings
    kafka: KafkaAccess

    @property
    def topics(self) -> Topics:
        return Topics(self.edge.topic_prefix)

    @property
    def keys(self) -> EdgeKeys:
        return EdgeKeys(self.edge.edge_secret_bytes)


def load(source: Path | Mapping[str, Any]) -> Loaded:
    """A YAML file (or its content) with the environment. Raises ConfigurationError with every problem at once."""
    content = read_yaml(source) if isinstance(source, Path) else dict(source)
    problems: list[str] = []
    config, edge, kafka = None, None, None
    try:
        config = _config(content)
    except ConfigurationError as error:
        problems += error.problems
    try:
        edge = EdgeSettings()  # type: ignore[call-arg]  # read from the environment
    except ValidationError as error:
        problems += problems_of(error, "SAMENLOOP_")
    try:
        kafka = KafkaAccess()  # type: ignore[call-arg]
    except ValidationError as error:
        problems += problems_of(error, "SAMENLOOP_KAFKA_")
    if config is None or edge is None or kafka is None:
        raise ConfigurationError("the configuration cannot be used:", problems)
    return Loaded(config, edge, kafka)


def load_config(source: Path) -> ConnectorConfig:
    """The YAML file alone, without the environment. Raises ConfigurationError with every problem at once."""
    return _config(read_yaml(source))


def _config(content: Mapping[str, Any]) -> ConnectorConfig:
    model = connector_class(str(content.get("connector"))).Config
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigurationError("the configuration cannot be used:", problems_of(error)) from None


def check(loaded: Loaded) -> list[str]:
    """Reach and log in to source and broker, and read no data; a line per thing that is well. Raises ConfigurationError
    (with all of the problems) or TransientError."""
    lines: list[str] = []
    problems: list[ConfigurationError | TransientError] = []
    connector = make_connector(loaded.config)
    for step in (connector.check, lambda: _check_broker(loaded)):
        try:
            lines += step()
        except (ConfigurationError, TransientError) as error:
            problems.append(error)
    _close(connector)
    if any(isinstance(problem, ConfigurationError) for problem in problems):
        raise ConfigurationError("the check found problems:", [str(problem) for problem in problems])
    if problems:
        raise TransientError("; ".join(map(str, problems)))
    return lines


def run_connector(
    loaded: Loaded,
    stop: threading.Event | None = None,
    *,
    once: bool = False,
    on_round: Callable[[Taken], None] = lambda taken: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    progress: Callable[[str, int, int | None], None] = lambda what, done, total: None,
) -> Taken:
    """Run until `stop` is set, or with `once` until the source is read once, everything is sent and all answers that are
    there are heard.

    `progress` hears what is done, how much of it, and of how many when that is known: what was read, and with `once` what
    was sent. Returns what the last round took. Raises ConfigurationError (also when another process holds the state), and
    with `once` also TransientError when the broker did not take everything.
    """
    stop = stop or threading.Event()
    config, topics = loaded.config, loaded.topics
    with only_one(config.state_dir), _open_state(loaded) as state:
        metrics = EdgeMetrics(config.partner)
        metrics.watch(state.store.outbox_state())
        connector = make_connector(config, stop, now)
        runner = Runner(
            connector,
            state,
            loaded.keys,
            StatementMaker(loaded.keys, sealing.public_key(loaded.edge.hub_key_bytes), connector.source_system),
            metrics,
            inbox=topics.inbox(config.partner),
            source=source_urn(config.oin, connector.source_system),
            confirm_days=config.confirm_days,
            now=now,
            progress=lambda stream, items: progress(f"{stream}: rows read", items, None),
        )
        sender = Sender(loaded.kafka, state.store, metrics)
        try:
            if once:
                taken = runner.round(stop.is_set)
                on_round(taken)
                _send_all(sender, state, progress)
                _hear(loaded, state, metrics)
                return taken
            return _stay(loaded, stop, connector, runner, sender, state, metrics, on_round)
        finally:
            sender.close()
            _close(connector)


def _send_all(sender: Sender, state: State, progress: Callable[[str, int, int | None], None]) -> None:
    sent, waiting = 0, state.store.outbox_state().pending
    if waiting:
        progress("statements sent", 0, waiting)
    while now := sender.send_waiting():
        sent += now
        progress("statements sent", sent, max(waiting, sent))


def connector_status(loaded: Loaded, limit: int = 100, language: Language = "en") -> ConnectorStatus:
    """How the connector stands; may be asked while it runs. Raises ConfigurationError when it never ran here."""
    named = getattr(loaded.config, "organisations", ())
    organisations = {(each.area, each.id) for each in named if isinstance(each, Organisation)}
    with _open_state(loaded, must_exist=True) as state:
        return status(state, loaded.config.partner, limit, organisations=organisations, language=language)


@contextmanager
def opened_state(loaded: Loaded) -> Iterator[State]:
    """The connector's state, beside a connector that may be running. Raises ConfigurationError when it never ran here."""
    with _open_state(loaded, must_exist=True) as state:
        yield state


def notices(loaded: Loaded) -> list[OwnNotice]:
    """What the hub told, with the partner's own case numbers."""
    with _open_state(loaded, must_exist=True) as state:
        return own_notices(state)


def make_connector(
    config: ConnectorConfig,
    stop: threading.Event | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Connector:
    return connector_class(config.connector)(config, now, (stop or threading.Event()).wait)


def _hear(loaded: Loaded, state: State, metrics: EdgeMetrics) -> None:
    """Receipts and notices that are there now. What was read and sent is safe, so a fault here waits for the next time."""
    listener = Listener(loaded.kafka, state, loaded.topics, loaded.config.partner, metrics)
    try:
        listener.catch_up()
    except (ConfigurationError, TransientError) as error:
        log.warning("receipts and notices wait: %s", error)
    finally:
        listener.close()


def _stay(
    loaded: Loaded,
    stop: threading.Event,
    connector: Connector,
    runner: Runner,
    sender: Sender,
    state: State,
    metrics: EdgeMetrics,
    on_round: Callable[[Taken], None],
) -> Taken:
    listener = Listener(loaded.kafka, state, loaded.topics, loaded.config.partner, metrics)
    crashed: list[BaseException] = []
    again = threading.Event()

    def wake_at_the_end(stop: threading.Event) -> None:
        stop.wait()
        again.set()

    def guarded(work: Callable[[threading.Event], None]) -> Callable[[], None]:
        def body() -> None:
            try:
                work(stop)
            except BaseException as error:
                crashed.append(error)
                stop.set()

        return body

    threads = [
        threading.Thread(target=guarded(sender.run), name="sender"),
        threading.Thread(target=guarded(listener.run), name="listener"),
        threading.Thread(target=guarded(wake_at_the_end), name="end"),
    ]
    server: Any = None
    if loaded.edge.metrics_port is not None:
        port, server = metrics.serve(loaded.edge.metrics_port)
        log.info("metrics on port %s", port)
    for thread in threads:
        thread.start()
    taken, pause = Taken(), 1.0
    try:
        if start := getattr(connector, "start", None):
            start(again.set)
        while not stop.is_set():
            again.clear()
            if stop.is_set():
                break
            taken = runner.round(stop.is_set)
            on_round(taken)
            retry = [failed.error for failed in taken.failed if isinstance(failed.error, TransientError)]
            wait = loaded.config.poll_seconds
            if retry:
                asked = max((error.retry_after or 0.0 for error in retry), default=0.0)
                wait = max(asked, min(pause, wait))
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = 1.0
            again.wait(wait)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        if server is not None:
            server.shutdown()
            server.server_close()
    if crashed:
        raise crashed[0]
    return taken


@contextmanager
def _open_state(loaded: Loaded, must_exist: bool = False) -> Iterator[State]:
    if must_exist and not (loaded.config.state_dir / "edge.sqlite").exists():
        raise ConfigurationError(f"{loaded.config.state_dir} holds no state: this connector has not run here yet")
    try:
        store = EdgeStore(loaded.config.state_dir, DDL)
    except OSError as error:
        raise ConfigurationError(f"state_dir {loaded.config.state_dir} cannot be used: {error.strerror}") from None
    try:
        yield State(store, loaded.keys)
    finally:
        store.close()


def _check_broker(loaded: Loaded) -> list[str]:
    topics, partner = loaded.topics, loaded.config.partner
    consumer = open_consumer(loaded.kafka)
    try:
        names = (topics.inbox(partner), topics.receipts(partner), topics.notices(partner))
        missing = [name for name in names if not consumer.partitions_for_topic(name)]
    finally:
        consumer.close()
    if missing:
        raise ConfigurationError(
            f"user {loaded.kafka.username!r} sees no topic {', '.join(missing)}: check SAMENLOOP_TOPIC_PREFIX, or ask the "
            "hub's operators to apply the topology"
        )
    return [f"broker: {loaded.kafka.bootstrap} lets {loaded.kafka.username!r} in, and shows {len(names)} topics"]


def _close(connector: Connector) -> None:
    close = getattr(connector, "close", None)
    if close is not None:
        close()
