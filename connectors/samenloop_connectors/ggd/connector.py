"""Has the FHIR server export what changed each night, and now and then everything, and tells it case by case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from samenloop_connectors.ggd import mapping
from samenloop_connectors.ggd.client import BulkClient, JobGone, Manifest, instant_of
from samenloop_connectors.ggd.config import GgdConfig
from samenloop_connectors.ggd.export import Export, read_export
from samenloop_connectors.ggd.known import Known as KnownEpisodes
from samenloop_connectors.ggd.telling import tell
from samenloop_connectors.sdk.connector import Cursor, Failed, Known, Payload, Reading
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, EdgeError, TransientError
from samenloop_producers.statement import CaseReport
from samenloop_schemas.dates import micros

STREAM = "export"
DAY = 86_400_000_000
_TRIES = 3
"""So often the files of one export are fetched, if they come cut off, before another is asked for."""


class GgdConnector:
    """One stream, the export. Its cursor:

    ``since``: up to which instant, in the server's own words, everything is known. ``whole``: the instant of the last complete
    export. ``behind``: the last one was not all that was asked for. ``job``: an export that was asked for and not yet read, so
    that a restart goes on with it. ``known`` and ``related``: see `known`. ``aside``: places of lines that could not be read,
    until a complete export has none there. ``at``: the last reading.
    """

    Config = GgdConfig
    source_system = "fhir"

    def __init__(
        self,
        config: GgdConfig,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._config = config
        self._now = now
        self._by_id = {each.id: each for each in config.organisations}
        self._client = BulkClient(config, wait)

    def check(self) -> list[str]:
        self._client.log_in()
        return [f"{self._config.base_url} lets us in"]

    def read(self, known: Known) -> Iterator[Reading | Failed]:
        cursor = dict(known.cursor(STREAM) or KnownEpisodes.from_parts(known.told(STREAM)).record())
        try:
            cursor = yield from self._export(cursor)
            if self._is_whole_due(cursor):
                yield from self._export(cursor, whole=True)
        except EdgeError as error:
            yield Failed(STREAM, error)

    def report(self, organisation: str, case_number: str, payload: Payload) -> CaseReport:
        found = self._by_id.get(organisation)
        if found is None:
            raise DataError("organisation_gone", "organisations")
        return mapping.report(self._config, found, case_number, payload)

    def close(self) -> None:
        self._client.close()

    def _export(self, cursor: dict[str, Any], whole: bool = False) -> Generator[Reading | Failed, None, dict[str, Any]]:
        """One export: the job that was begun before, or a new one. Returns where we stand then."""
        if "job" not in cursor:
            cursor["job"] = self._kick_off(cursor, whole)
            yield self._nothing(cursor)
        job, spoken = cursor["job"], KnownEpisodes(cursor)
        try:
            manifest = self._client.await_manifest(job["url"])
        except (JobGone, DataError, ConfigurationError):
            yield self._without_job(cursor)
            raise
        try:
            export = read_export(self._config, self._client, manifest, job["whole"], spoken)
        except EdgeError as error:
            job["tries"] = job.get("tries", 0) + 1
            again = isinstance(error, TransientError) and not isinstance(error, JobGone) and job["tries"] < _TRIES
            yield self._nothing(cursor) if again else self._without_job(cursor)
            raise
        complete = export.whole and not export.failed and export.at > cursor.get("whole", 0)
        items = tell(export, spoken, self._config.confirm_days, complete=complete)
        after = self._after(cursor, export, manifest, spoken)
        repaired = tuple(set(cursor.get("aside", ())) - set(after["aside"]))
        yield Reading(
            STREAM,
            after["at"],
            False,
            items,
            cursor=after,
            cleared=repaired,
            done=lambda: self._client.drop(job["url"]),
        )
        if export.failed:
            yield Failed(STREAM, _partial(export))
        return after

    def _is_whole_due(self, cursor: Mapping[str, Any]) -> bool:
        """Only after an export of changes that came through: a complete export tells of no deletions."""
        came_through = "since" in cursor and not cursor.get("behind")
        return came_through and micros(self._now()) - cursor.get("whole", 0) >= self._config.whole_days * DAY

    def _kick_off(self, cursor: Mapping[str, Any], whole: bool) -> dict[str, Any]:
        """Everything, at the first time and when it is due again; else what changed since the last export."""
        since = None if whole else cursor.get("since")
        start = _earlier(str(since), self._config.overlap_seconds) if since else None
        return {"url": self._client.kick_off(start), "whole": start is None}

    def _nothing(self, cursor: dict[str, Any]) -> Reading:
        """A reading that only saves where we stand."""
        cursor["at"] = self._instant(cursor)
        return Reading(STREAM, cursor["at"], False, (), cursor=dict(cursor), last=False)

    def _without_job(self, cursor: dict[str, Any]) -> Reading:
        """The export is given up; the next round asks for a new one."""
        self._client.drop(cursor.pop("job")["url"])
        return self._nothing(cursor)

    def _after(
        self, cursor: Mapping[str, Any], export: Export, manifest: Manifest, spoken: KnownEpisodes
    ) -> dict[str, Any]:
        """Where we stand after an export. After one that the server could not finish, the next begins where this one did."""
        done: dict[str, Any] = {"behind": True}
        if not export.failed:
            done = {"since": manifest.at} | ({"whole": export.at} if export.whole else {})
        kept = {name: cursor[name] for name in ("since", "whole") if name in cursor}
        aside = {line.place for line in export.unreadable if not line.case_number}
        aside |= set() if export.whole else set(cursor.get("aside", ()))
        return {**kept, **done, "aside": sorted(aside), "at": self._instant(cursor), **spoken.record()}

    def _instant(self, cursor: Cursor) -> int:
        return max(micros(self._now()), int(cursor.get("at", 0)) + 1)


def _earlier(instant: str, seconds: int) -> str:
    """For what was committed late at the server; what is met twice says nothing new."""
    return (instant_of(instant) - timedelta(seconds=seconds)).isoformat() if seconds else instant


def _partial(export: Export) -> DataError:
    kinds = ", ".join(f"{code} {times} times" for code, times in sorted(Counter(export.failed).items()))
    return DataError(
        "partial_export",
        message=f"the server could not export everything ({kinds}): what it gave was read, and the rest is asked for again",
    )
