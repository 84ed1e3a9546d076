"""docs/operations.md against the code: every metric is explained and exists, alerts can be read, commands are real."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry
from typer.main import get_command

from samenloop_deploy import topology
from samenloop_deploy.cli.main import app
from samenloop_processors.engine.api import QuarantineReason
from samenloop_processors.intake.domain.persons import MatchingKey
from samenloop_processors.intake.stage import IntakeStage
from samenloop_processors.keys import KeyStore
from samenloop_processors.metrics import HubMetrics
from samenloop_producers.metrics import EdgeMetrics
from samenloop_schemas import sealing
from samenloop_schemas.topics import Topics
from samenloop_views.notifier.run import NotifierMetrics
from samenloop_views.web.app import WebMetrics

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "operations.md").read_text("utf-8")
_NAME = r"samenloop_[a-z_]+"


def registries() -> Iterator[CollectorRegistry]:
    """What each kind of process serves."""
    hub = HubMetrics()
    private, _ = sealing.new_hub_key()
    keys = KeyStore("postgresql://nowhere", bytes(32))
    IntakeStage(Topics(), ["smwo"], sealing.private_key(private), MatchingKey(bytes(32), 1), keys, hub)
    yield hub.registry
    yield EdgeMetrics("smwo").registry
    yield NotifierMetrics().registry
    yield WebMetrics().registry


def served() -> set[str]:
    """By the names that Prometheus sees, histograms by their stem."""
    families = [family for registry in registries() for family in registry.collect()]
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_metric_is_explained_and_every_explained_metric_exists() -> None:
    explained = re.findall(rf"^\| `({_NAME})` \|", section("Metrics"), re.MULTILINE)
    assert len(explained) == len(set(explained))
    assert set(explained) == served()


def test_no_label_is_told_wrongly() -> None:
    labels = {
        family_name: set(collector._labelnames)
        for registry in registries()
        for collector, names in registry._collector_to_names.items()
        for family_name in names
    }
    for name, told in re.findall(rf"^\| `({_NAME})` \| [^|]+ \|([^|]*)\|", section("Metrics"), re.MULTILINE):
        words = {word for word in re.split(r"[,; ]+", told.strip()) if word}
        if name == "samenloop_outbox_oldest_seconds":
            assert words == {"stage", "partner"}  # of stages and of connectors
        else:
            assert words == labels[name], name


def rules() -> list[dict[str, object]]:
    block = re.search(r"```yaml\n(.*?)```", section("Metrics"), re.DOTALL)
    assert block
    groups = yaml.safe_load(block[1])["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_alerts_can_be_read_and_name_only_what_is_served() -> None:
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found) > 8
    for rule in found:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        expression = str(rule["expr"])
        assert set(re.findall(_NAME, expression)) <= served(), rule["alert"]
        assert all(expression.count(a) == expression.count(b) for a, b in ("()", "[]", "{}"))
        assert re.search(r"[<>=]=?\s*\d|> 0\.2 \*", expression), rule["alert"]
        assert re.fullmatch(r"\d+[smhd]", str(rule.get("for", "1m")))
        assert rule["annotations"]
        if named := re.fullmatch(r"docs/operations\.md, (.*)", str(rule["annotations"]["do"])):  # type: ignore[index]
            assert f"**{named[1]}.**" in PAGE or f"## {named[1]}" in PAGE, named[1]


def test_how_long_a_feed_may_be_silent_is_what_the_topology_says() -> None:
    allowed = {name: partner.silent_after_hours for name, partner in topology.load().partners.items()}
    expression = str(next(rule["expr"] for rule in rules() if rule["alert"] == "FeedSilent"))
    usual = int(re.search(r'!="mee"} > (\d+)', expression)[1])  # type: ignore[index]
    weekly = int(re.search(r'="mee"} > (\d+) \* 3600$', expression)[1])  # type: ignore[index]
    assert allowed == {name: weekly if name == "mee" else usual for name in allowed}


def test_every_reason_of_the_page_is_one_and_each_that_happens_is_there() -> None:
    told = set(
        re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`[a-z_]+`[^|]*)\|", section("Quarantine"), re.MULTILINE)))
    )
    assert told <= {reason.value for reason in QuarantineReason}
    assert {reason.value for reason in QuarantineReason} - told <= {
        "wrong_sender",
        "seal_mismatch",
    }  # refused, not set apart


def commands(text: str) -> set[tuple[str, ...]]:
    """Every `samenloop ...` in code, as its words."""
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = {re.sub(r"^\.venv/bin/", "", line.strip()) for line in lines}
    return {
        tuple(shlex.split(line)[1:]) for line in found if line.startswith("samenloop ") and "..." not in line.split()[1]
    }


@pytest.mark.parametrize("page", ["operations.md", "../README.md"])
def test_commands_exist_with_the_options_that_are_named(page: str) -> None:
    found = commands((DOCS / page).read_text("utf-8"))
    assert len(found) > 5
    for words in found:
        command: object = get_command(app)
        rest = list(words)
        while rest and (named := getattr(command, "commands", {}).get(rest[0])):
            command, rest = named, rest[1:]
        assert not getattr(command, "commands", {}) or not rest or rest[0].startswith("--"), (
            f"samenloop {' '.join(words)}"
        )
        known = {option for parameter in getattr(command, "params", []) for option in parameter.opts} | {"--help"}
        assert {word for word in rest if word.startswith("--")} <= known, f"samenloop {' '.join(words)}"


def test_links_lead_somewhere() -> None:
    for page in (DOCS / "operations.md", DOCS.parent / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
