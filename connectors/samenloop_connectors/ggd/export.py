"""One export read in whole, in memory and nowhere else: what it shows of the episodes on the allow-list and their people.

Everybody else in it is looked at for one thing only, whether a child bears his number (see `numbers`), and then forgotten.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from samenloop_connectors.ggd import resources
from samenloop_connectors.ggd.client import BulkClient, File, Manifest, instant_of
from samenloop_connectors.ggd.config import GgdConfig
from samenloop_connectors.ggd.known import Known
from samenloop_connectors.ggd.numbers import Numbers
from samenloop_connectors.ggd.resources import Episode, Payload, Resource
from samenloop_connectors.sdk.connector import Unreadable
from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.dates import micros

log = logging.getLogger(__name__)
_AHEAD = 3_600_000_000
"""A version this much later than the export itself would outrank all that follows."""
_CODE = re.compile(r"^[a-z-]{1,40}$")


@dataclass(slots=True)
class Export:
    """`at` is the server's instant, in microseconds. `shown` are the episodes it holds, legible or not. `other_kind` are known
    episodes that are of no shared kind now. `sound`: whoever is not shown is not there. `failed` are the codes of what the
    server itself could not export."""

    at: int
    whole: bool
    episodes: list[Episode] = field(default_factory=list)
    other_kind: list[tuple[str, int]] = field(default_factory=list)
    persons: dict[str, Payload] = field(default_factory=dict)
    related: dict[str, Payload] = field(default_factory=dict)
    deleted: list[tuple[str, str, int]] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)
    unreadable: list[Unreadable] = field(default_factory=list)
    numbers: Numbers = field(default_factory=Numbers)
    sound: bool = True
    failed: list[str] = field(default_factory=list)


def read_export(config: GgdConfig, client: BulkClient, manifest: Manifest, whole: bool, known: Known) -> Export:
    """Fetch all files of a manifest. Raises TransientError when one of them is not whole: then nothing of it counts."""
    export = Export(micros(instant_of(manifest.at)), whole)
    passed = 0
    for place, resource in _resources(client, manifest, export, "EpisodeOfCare"):
        passed += not _take_episode(config, export, known, place, resource)
    wanted = {episode.person for episode in export.episodes} | known.persons()
    for place, resource in _resources(client, manifest, export, "Patient"):
        _take_person(export, wanted, place, resource)
    for place, resource in _resources(client, manifest, export, "RelatedPerson"):
        _take_related(export, wanted, place, resource)
    for place, resource in _resources(client, manifest, export, "", manifest.deleted):
        _take_deletions(export, place, resource)
    for _, resource in _resources(client, manifest, export, "", manifest.errors):
        export.failed += _failures(resource)
    _fetch_missing(client, export, known)
    log.info(
        "export %s: %s episodes of shared kinds, %s others passed over, %s deletions, %s lines set aside",
        "of everything" if whole else "of changes", len(export.episodes), passed, len(export.deleted), len(export.unreadable),
    )  # fmt: skip
    return export


def _resources(
    client: BulkClient, manifest: Manifest, export: Export, kind: str, files: tuple[File, ...] | None = None
) -> Iterator[tuple[str, Resource]]:
    """Each line of the files of one kind, with its place. A line that is no such resource is set aside, and nobody's absence
    from this export means a thing any more."""
    chosen = [file for file in manifest.output if file.kind == kind] if files is None else files
    for number, file in enumerate(chosen, 1):
        for line in client.lines(file, manifest.needs_token):
            place = f"{kind or 'deleted or error'} file {number}, line {line.number}"
            if line.resource is None or (kind and line.resource.get("resourceType") != kind):
                _set_aside(export, Unreadable(place, "no_json" if line.resource is None else "no_such_type"))
            else:
                yield place, line.resource


def _take_episode(config: GgdConfig, export: Export, known: Known, place: str, resource: Resource) -> bool:
    """Whether the episode is of a shared kind, or was. Of all others not even the number is kept."""
    group = resources.service_group(config, resource)
    number = resource.get("id") if isinstance(resource.get("id"), str) else ""
    if group is None and number not in known:
        return False
    try:
        rank = _timely(export, resource)
        if group is None:
            export.other_kind.append((resources.resource_id(resource), rank[0]))
        else:
            episode = resources.episode(config, resource, group)
            export.episodes.append(episode)
            if episode.contained is not None:
                export.numbers.add(f"EpisodeOfCare/{episode.number}", _carried(resource))
        export.shown.add(str(number))
    except DataError as error:
        organisation = known.holder(str(number))
        if number and organisation:
            export.shown.add(str(number))
            export.unreadable.append(Unreadable(place, error.code, error.field, organisation, str(number)))
        else:
            _set_aside(export, Unreadable(place, error.code, error.field), nameless=not number)
    return True


def _take_person(export: Export, wanted: set[str], place: str, resource: Resource) -> None:
    try:
        name = f"Patient/{resources.resource_id(resource)}"
        export.numbers.add(name, resource)
        if name in wanted:
            _keep(export.persons, name, resources.person(resource, _timely(export, resource)))
    except DataError as error:
        export.unreadable.append(Unreadable(place, error.code, error.field))


def _take_related(export: Export, wanted: set[str], place: str, resource: Resource) -> None:
    try:
        name = f"RelatedPerson/{resources.resource_id(resource)}"
        child, kind = resources.reference(resource.get("patient"), "Patient"), resources.relation_kind(resource)
        if kind:
            export.numbers.add(name, resource, parent=True)
        if child in wanted:
            body = resources.person(resource, _timely(export, resource))
            _keep(export.related, name, {**body, "kind": kind, "of": child})
    except DataError as error:
        export.unreadable.append(Unreadable(place, error.code, error.field))


def _take_deletions(export: Export, place: str, bundle: Resource) -> None:
    try:
        at = resources.rank_of(bundle)[0] if isinstance(bundle.get("meta"), Mapping) else export.at
        export.deleted += [(kind, number, min(at, export.at)) for kind, number in resources.deletions(bundle)]
    except DataError as error:
        _set_aside(export, Unreadable(place, error.code, error.field))


def _fetch_missing(client: BulkClient, export: Export, known: Known) -> None:
    """An export of changes shows a person only when he changed: for an episode that is new, he is asked for by his id."""
    without: set[str] = set()
    for episode in export.episodes:
        name = episode.person
        if name == resources.CONTAINED or name in export.persons or name in without:
            continue
        if known.told(episode.number, episode.organisation, name):
            continue
        found = client.resource("Patient", name.partition("/")[2])
        if found is None or f"Patient/{found.get('id')}" != name:
            without.add(name)
            continue
        export.numbers.add(name, found)
        export.persons[name] = resources.person(found, resources.rank_of(found))
    for episode in export.episodes:
        if episode.person in without and episode.organisation:
            export.unreadable.append(
                Unreadable(
                    "its Patient is not on the server", "missing", "patient", episode.organisation, episode.number
                )
            )
    export.episodes = [episode for episode in export.episodes if episode.person not in without]


def _failures(outcome: Resource) -> list[str]:
    """The codes of what is an error; warnings and information do no harm."""
    issues = outcome.get("issue")
    if outcome.get("resourceType") != "OperationOutcome" or not isinstance(issues, list):
        return ["unknown"]
    codes = [
        issue.get("code") for issue in issues if isinstance(issue, dict) and issue.get("severity") in ("error", "fatal")
    ]
    return [code if isinstance(code, str) and _CODE.match(code) else "unknown" for code in codes]


def _timely(export: Export, resource: Resource) -> tuple[int, str]:
    rank = resources.rank_of(resource)
    if rank[0] > export.at + _AHEAD:
        raise DataError("in_the_future", "meta.lastUpdated")
    return rank


def _keep(found: dict[str, Payload], name: str, body: Payload) -> None:
    """Of one resource that an export shows twice the newer version counts."""
    before = found.get(name)
    if before is None or (before["at"], before["_v"]) < (body["at"], body["_v"]):
        found[name] = body


def _carried(resource: Resource) -> Mapping[str, Any]:
    inside: Any = resource.get("contained") or []
    patients: Callable[[Any], bool] = lambda each: isinstance(each, dict) and each.get("resourceType") == "Patient"  # noqa: E731
    return next(filter(patients, inside), {})


def _set_aside(export: Export, line: Unreadable, nameless: bool = True) -> None:
    export.unreadable.append(line)
    export.sound = export.sound and not nameless
