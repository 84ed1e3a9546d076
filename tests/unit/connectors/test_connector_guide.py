"""The connector guide keeps its word: every example loads or runs, and every command, option, variable and code exists."""

from __future__ import annotations

import configparser
import json
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import typer
from edge_tools import NOON, Edge, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_connectors.app import load_config, make_connector
from samenloop_connectors.kinds import KINDS
from samenloop_connectors.sdk.config import EdgeSettings
from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_deploy.cli.main import app
from samenloop_schemas.codes import ReceiptCode, Status
from samenloop_schemas.kafka_access import KafkaAccess

GUIDE = (Path(__file__).parents[3] / "docs" / "connector-guide.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module", autouse=True)
def buddies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The worked example, as a partner's own module on the path."""
    folder = tmp_path_factory.mktemp("own")
    (code,) = blocks("python")
    (folder / "buddies.py").write_text(code, "utf-8")
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    sys.modules.pop("buddies", None)


@pytest.mark.parametrize("text", blocks("yaml"), ids=lambda text: re.findall(r"connector: (\S+)", text)[0])
def test_every_example_of_a_configuration_loads(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"env:(\w+)", text):
        monkeypatch.setenv(name, "a-secret-of-some-length")
    file = tmp_path / "example.yaml"
    file.write_text(text, "utf-8")
    config = load_config(file)
    assert f"### {config.connector}\n" in GUIDE or ":" in config.connector


def test_there_is_an_example_of_every_kind() -> None:
    found = [re.findall(r"connector: (\S+)", text)[0] for text in blocks("yaml")]
    assert sorted(found) == sorted([*KINDS, "buddies:BuddyConnector"])


def commands() -> list[list[str]]:
    """Every use of the command in the guide, in blocks and within the text."""
    found = re.findall(r"^(?:ExecStart=/\S*/)?(samenloop .+)$", GUIDE, re.MULTILINE) + re.findall(
        r"`(samenloop [a-z].+?)`", GUIDE
    )
    return [line.split() for line in found]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_and_option_exists(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while rest and hasattr(command, "commands"):
        assert rest[0] in command.commands, " ".join(words)
        command = command.commands[rest.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= options


def test_every_variable_is_read_and_every_one_that_is_read_is_told() -> None:
    read = {f"SAMENLOOP_KAFKA_{name.upper()}" for name in KafkaAccess.model_fields}
    read |= {f"SAMENLOOP_{name.upper()}" for name in EdgeSettings.model_fields}
    assert set(re.findall(r"SAMENLOOP_[A-Z_]+", GUIDE)) == read


def test_every_reason_on_a_receipt_is_told() -> None:
    table = GUIDE[GUIDE.index("## What the hub says back") :]
    assert {code for code in ReceiptCode if f"`{code}`" not in table} == {ReceiptCode.UNKNOWN}


def test_the_unit_starts_the_connector_and_leaves_mistakes_to_people() -> None:
    (text,) = blocks("systemd")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    assert unit["Service"]["RestartPreventExitStatus"] == "2"
    assert "run mee --config" in unit["Service"]["ExecStart"]


def test_links_within_the_guide_and_to_files_lead_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", GUIDE):
        if target.startswith("#"):
            assert target[1:] in headings, target
        else:
            assert (Path(__file__).parents[3] / "docs" / target).exists(), target


class Project:
    """The buddy project's folder, with its connector."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "in"
        self.folder.mkdir(parents=True)
        text = next(text for text in blocks("yaml") if "buddies" in text)
        (root / "own.yaml").write_text(text.replace("/srv/sftp/buddies/in", str(self.folder)), "utf-8")
        self.config = load_config(root / "own.yaml")
        self.root = root
        self.again()

    def again(self) -> None:
        self.edge = Edge(self.root / "state", make_connector(self.config, now=lambda: NOON))

    def night(self, day: int, *rows: dict[str, Any]) -> list[str]:
        (self.folder / f"maatjes_2026-11-{day:02d}.json").write_text(json.dumps(rows), "utf-8")
        return [str(failed.error) for failed in self.edge.runner.round().failed]


ROW = {"nummer": 7, "klant": "K1", "achternaam": "Zwart", "geboren": "1980-05-00", "sinds": "2026-01-05", "tot": None,
       "akkoord": True, "gewijzigd": "2026-01-05", "reden": "eenzaam"}  # fmt: skip


def test_the_worked_example_says_what_its_rows_say(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.edge.connector.check()
    assert (
        project.night(
            2, ROW, ROW | {"nummer": ""}, ROW | {"nummer": 8, "akkoord": None}, ROW | {"nummer": 9, "sinds": "soon"}
        )
        == []
    )
    by_consent = {str(said.consent): said for said in project.edge.statements()}
    assert {consent: said.status for consent, said in by_consent.items()} == {
        "GIVEN": Status.ACTIVE,
        "NOT_ASKED": Status.ACTIVE,
    }
    person = opened(by_consent["GIVEN"])
    assert person is not None
    assert (person.surname, str(person.birth_date)) == ("Zwart", "1980-05-00")
    assert opened(by_consent["NOT_ASKED"]) is None
    assert project.edge.store.connection.execute("SELECT count(*) FROM quarantine").fetchone() == (2,)
    (project.folder / "maatjes_2026-11-03.json").write_text("[{", "utf-8")
    assert project.night(4, ROW | {"tot": "2026-11-03", "gewijzigd": "2026-11-04"}) == [
        "maatjes_2026-11-03.json is not whole"
    ]
    newest = max(project.edge.statements(), key=lambda said: said.revision)
    assert (newest.status, newest.ends_on) == (Status.ENDED, date(2026, 11, 4))


nights = st.dictionaries(st.integers(1, 19), st.sampled_from(["a", "b", "gone"]), min_size=1, max_size=5)
KINDS_OF_NIGHT = {"a": [ROW], "b": [ROW | {"achternaam": "Wit", "gewijzigd": "2026-02-01"}], "gone": []}


@settings(max_examples=15, deadline=None)
@given(nights, st.data())
def test_the_worked_example_does_not_care_for_the_order_of_its_files(
    world: dict[int, str], data: st.DataObject
) -> None:
    def final(order: list[int]) -> Any:
        with TemporaryDirectory() as root:
            project = Project(Path(root))
            for day in order:
                project.night(day, *KINDS_OF_NIGHT[world[day]])
                project.edge.close()
                project.again()
            found = project.edge.final()
            project.edge.close()
            return found

    assert final(data.draw(st.permutations(sorted(world)))) == final(sorted(world))


@pytest.mark.parametrize("kind", ["nothing.at.all:Here", "buddies:Nobody", "buddies:", ":x", "unknown"])
def test_what_names_no_connector_is_told(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(f"connector: '{kind}'\n", "utf-8")
    with pytest.raises(ConfigurationError, match="connector:"):
        load_config(file)
