"""The region of the demo: areas, municipalities, villages, and who works there. Fixed by the frame of the demo agreement."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Village:
    """A town or village; ``share`` is its relative size inside its municipality, ``pc4`` the digits of its postcodes."""

    name: str
    pc4: tuple[int, ...]
    dialling_code: str
    share: int


@dataclass(frozen=True, slots=True)
class Municipality:
    """A municipality: CBS code, its back-office organisation id, and its villages."""

    code: str
    name: str
    share: int
    villages: tuple[Village, ...]

    @property
    def organisation(self) -> str:
        return "gemeente-" + self.name.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Area:
    """An area of cooperation with who works there, and its part of the demo's people in care.

    ``home_care``: providers of home care; the welfare organisation may be one of them.
    """

    area: str
    social_work: str
    share: int
    youth_help: str
    home_care: tuple[str, ...]
    municipalities: tuple[Municipality, ...]

    @property
    def youth_team(self) -> str:
        return f"cjg-{self.area}"

    @property
    def client_support(self) -> str:
        return f"mee-{self.area}"

    @property
    def youth_health(self) -> str:
        return f"ggd-{self.area}"

    @property
    def organisations(self) -> tuple[str, ...]:
        """Everybody who works here, each once."""
        named = (self.social_work, self.youth_team, self.client_support, self.youth_health, self.youth_help)
        municipal = (municipality.organisation for municipality in self.municipalities)
        return tuple(dict.fromkeys((*named, *self.home_care, *municipal)))


AREAS: Final = (
    Area("a2", "lumens", 32, "jeugdhulp-kempen", ("lumens", "thuiszorg-a2"), (
        Municipality("0858", "Valkenswaard", 5, (
            Village("Valkenswaard", (5552, 5553, 5554, 5555), "040", 8),
            Village("Dommelen", (5551,), "040", 3),
        )),
        Municipality("1706", "Cranendonck", 3, (
            Village("Budel", (6021,), "0495", 5),
            Village("Maarheeze", (6026,), "0495", 3),
            Village("Soerendonk", (6027,), "0495", 1),
        )),
        Municipality("1658", "Heeze-Leende", 2, (
            Village("Heeze", (5591,), "040", 4),
            Village("Leende", (5595,), "040", 2),
            Village("Sterksel", (6029,), "040", 1),
        )),
    )),
    Area("bevelanden", "smwo", 43, "jeugdhulp-zeeland", ("thuiszorg-zeeland",), (
        Municipality("0664", "Goes", 8, (
            Village("Goes", (4461, 4462, 4463), "0113", 8),
            Village("Kloetinge", (4481,), "0113", 1),
        )),
        Municipality("0654", "Borsele", 4, (
            Village("Heinkenszand", (4451,), "0113", 3),
            Village("'s-Gravenpolder", (4431,), "0113", 2),
            Village("Nieuwdorp", (4455,), "0113", 1),
        )),
        Municipality("0678", "Kapelle", 2, (
            Village("Kapelle", (4421,), "0113", 3),
            Village("Wemeldinge", (4424,), "0113", 1),
        )),
        Municipality("1695", "Noord-Beveland", 1, (
            Village("Kortgene", (4484,), "0113", 1),
            Village("Kamperland", (4493,), "0113", 1),
        )),
        Municipality("0703", "Reimerswaal", 4, (
            Village("Yerseke", (4401,), "0113", 3),
            Village("Kruiningen", (4416,), "0113", 2),
            Village("Krabbendijke", (4413,), "0113", 2),
        )),
    )),
    Area("zwolle", "swt-zwolle", 25, "jeugdhulp-ijssel", ("thuiszorg-ijssel",), (
        Municipality("0193", "Zwolle", 1, (
            Village("Zwolle", (8011, 8012, 8014, 8016, 8017, 8021, 8022, 8024, 8031, 8032, 8042, 8043), "038", 1),
        )),
    )),
)  # fmt: skip

_LETTERS: Final = "ABCDEGHJKLMNPRSTVWXZ"


def postcode(village: Village, street: str) -> str:
    """The postcode of a street: the same each time, spread over the village's digits; SA, SD and SS are never given out."""
    mark = zlib.crc32(f"{village.name}|{street}".encode())
    digits = village.pc4[mark % len(village.pc4)]
    letters = _LETTERS[mark // 64 % len(_LETTERS)] + _LETTERS[mark // 4096 % len(_LETTERS)]
    return f"{digits}{'SB' if letters in ('SA', 'SD', 'SS') else letters}"


def area_of(organisation: str) -> Area:
    """The area that an organisation works in; KeyError when it is not one of the demo's."""
    return _AREA_OF[organisation]


_AREA_OF: Final = {organisation: area for area in AREAS for organisation in area.organisations}
