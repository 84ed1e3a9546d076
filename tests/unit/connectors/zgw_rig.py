"""An edge with a ZGW connector beside a `Source`, with a clock of its own, that can be stopped and started on the same state."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from edge_tools import NOON, Edge
from zgw_source import Source

from samenloop_connectors.cjg.connector import CjgConnector
from samenloop_connectors.sdk.runner import Taken
from samenloop_schemas.records import InvolvementStatement


class Clock:
    """The edge's clock; it moves a little at each look, as clocks do."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=1)
        return self.at

    def later(self, **span: float) -> None:
        self.at += timedelta(**span)


class Rig:
    """A source, and an edge that can be stopped and started on the same state."""

    def __init__(self, source: Source, directory: Path) -> None:
        self.source, self.directory, self.clock = source, directory, Clock()
        source.now = lambda: self.clock.at
        self.edge = self.start()

    def start(self, **fields: object) -> Edge:
        connector = CjgConnector(self.source.config(self.directory, **fields), self.clock, lambda seconds: False)
        self.edge = Edge(self.directory, connector, self.clock)
        return self.edge

    def restart(self, **fields: object) -> Edge:
        self.close()
        return self.start(**fields)

    def close(self) -> None:
        self.edge.connector.close()  # type: ignore[attr-defined]
        self.edge.close()

    def notify(self, *uuids: str) -> None:
        for uuid in uuids:
            case_type = self.source.zaken.get(uuid, {}).get("zaaktype", "")
            self.edge.connector.receive("cjg-bevelanden", uuid, case_type)  # type: ignore[attr-defined]

    def round(self) -> Taken:
        self.clock.later(seconds=1)
        return self.edge.runner.round()

    def whole(self) -> Taken:
        """A round in which everything is listed."""
        self.clock.later(days=2)
        return self.round()

    def said(self) -> list[InvolvementStatement]:
        return self.edge.statements()

    def newest(self) -> dict[str, InvolvementStatement]:
        held: dict[str, InvolvementStatement] = {}
        for said in sorted(self.said(), key=lambda each: each.revision):
            held[said.case_ref] = said
        return held

    def waiting(self) -> int:
        return int(self.edge.store.connection.execute("SELECT count(*) FROM tray").fetchone()[0])
