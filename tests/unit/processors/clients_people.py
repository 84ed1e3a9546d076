"""A small synthetic Dutch population for the identity tests, with the cases that make matching hard. No register was read.

Two kinds of source: a municipality (formal names, mostly a BSN) and welfare organisations (call names, no BSN, more slips).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from samenloop_schemas.codes import AddressKind, Sex
from samenloop_schemas.dates import PartialDate
from samenloop_schemas.records import Address, IdentityFacts

_MEN = """Johannes=Jan Cornelis=Kees Petrus=Piet Hendrik=Henk Wilhelmus=Wim Jacobus=Jaap Franciscus=Frans Gerardus=Gerard
Antonius=Ton Theodorus=Theo Robert=Rob Martinus=Martin Mohamed=Mo Ahmed=Ahmed Mehmet=Mehmet Daan=Daan Sem=Sem Stijn=Stijn
Thomas=Tom Lucas=Luuk Bram=Bram Milan=Milan Ruben=Ruben Lars=Lars Tim=Tim Jesse=Jesse Joris=Joris Sander=Sander Piotr=Piotr"""
_WOMEN = """Johanna=Joke Maria=Ria Cornelia=Corrie Elisabeth=Betty Anna=Anneke Wilhelmina=Willy Hendrika=Riek Catharina=Toos
Margaretha=Greet Petronella=Nel Fatima=Fatima Khadija=Khadija Emma=Emma Julia=Julia Sophie=Sophie Lotte=Lotte Eva=Eva Lisa=Lisa
Fleur=Fleur Noa=Noa Sanne=Sanne Iris=Iris Femke=Femke Maud=Maud Nina=Nina Sara=Sara Tess=Tess Magdalena=Magda"""
_SURNAMES = """de|Jong |Jansen de|Vries van_den|Berg van|Dijk |Bakker |Visser |Smit |Meijer de|Boer |Mulder de|Groot |Bos |Peters
|Hendriks van|Leeuwen |Dekker |Brouwer de|Wit |Dijkstra van_der|Linden |Willemsen |Verhoeven |Huisman |Kuipers |Schipper |Minnaard
|Goedegebuure |Steketee |Slabbekoorn |Wisse |Kloosterman van_'t|Westeinde |Zandee |Oostdijk |Dingemanse ter|Horst |Teunissen
|Schreurs van|Asten |Roothans |Yılmaz |Kaya el|Idrissi |Benali |Kowalski |Nowak |Käster |Müller |Tesfay |Nguyen |Boonman"""
_STREETS = ("Dorpsstraat", "Kerkstraat", "Molenweg", "Markt", "Stationsweg", "Lindelaan", "Julianastraat")


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(formal, call) for formal, _, call in (item.partition("=") for item in text.split())]


MEN, WOMEN = _pairs(_MEN), _pairs(_WOMEN)
SURNAMES = [(p.replace("_", " "), n) for p, _, n in (item.partition("|") for item in _SURNAMES.split())]


@dataclass
class Human:
    """What is true of a person."""

    number: int
    sex: Sex
    given: tuple[str, ...]
    call: str
    surname: tuple[str, str]
    born: tuple[int, int, int]
    home: Address
    partner: tuple[str, str] | None = None
    uses_partner: int = 0
    phone: str = ""
    email: str = ""
    bsn: str = ""


@dataclass
class People:
    """Records with the human that each is about."""

    records: list[tuple[str, int, IdentityFacts]] = field(default_factory=list)
    truth: dict[str, int] = field(default_factory=dict)


def make_people(seed: int, humans: int, welfare: int = 2) -> People:
    """About `humans` humans in households; each is known to one to three sources, now and then twice to one."""
    rng = Random(seed)
    population: list[Human] = []
    while len(population) < humans:
        _household(rng, population)
    people = People()
    for human in population:
        sources = [s for s in range(welfare + 1) if rng.random() < (0.75 if s == 0 else 0.45)] or [0]
        for source in sources:
            for copy in range(2 if rng.random() < 0.02 else 1):
                ref = f"{rng.getrandbits(64):016x}"
                identity = _municipal(rng, human) if source == 0 else _heard(rng, human, f"org{source}")
                people.records.append((ref, 1_700_000_000_000_000 + rng.randrange(10**13) + copy, identity))
                people.truth[ref] = human.number
    rng.shuffle(people.records)
    return people


def _household(rng: Random, out: list[Human]) -> None:
    home = Address(
        rng.choice(_STREETS),
        str(rng.randint(1, 160)),
        rng.choice(("", "", "", "", "A", "B")),
        rng.choice(("", "", "", "", "", "2", "III")),
        "",
        f"{rng.randint(4400, 4470)}{rng.choice('ABCDEKLP')}{rng.choice('ABCDEKLP')}",
        "Goes",
        AddressKind.HOME,
    )
    line = _number(rng) if rng.random() < 0.4 else ""
    year = rng.randint(1935, 1990)
    name = _weighted(rng, SURNAMES)
    adults = [_human(rng, out, rng.choice((Sex.MALE, Sex.FEMALE)), name, year, home, line)]
    if rng.random() < 0.6:
        first = adults[0]
        other = Sex.MALE if first.sex is Sex.FEMALE else Sex.FEMALE
        second = _human(rng, out, other, _weighted(rng, SURNAMES), year + rng.randint(-6, 6), home, line)
        adults.append(second)
        if rng.random() < 0.7:
            first.partner, second.partner = second.surname, first.surname
            wife = first if first.sex is Sex.FEMALE else second
            wife.uses_partner = rng.choice((0, 1, 2, 2, 3))
    if rng.random() < 0.45:
        father = next((a for a in adults if a.sex is Sex.MALE), adults[0])
        born = year + rng.randint(20, 38)
        for _ in range(rng.randint(1, 3)):
            if born > 2020:
                break
            twins = 2 if rng.random() < 0.06 else 1
            date = (born, rng.randint(1, 12), rng.randint(1, 28))
            for _twin in range(twins):
                child = _human(rng, out, rng.choice((Sex.MALE, Sex.FEMALE)), father.surname, born, home, line)
                child.born = date
                if child.sex is Sex.MALE and father.sex is Sex.MALE and twins == 1 and rng.random() < 0.08:
                    child.given, child.call = father.given, father.call
                if born > 2008:
                    child.phone, child.email = (adults[0].phone if rng.random() < 0.5 else line), ""
            born += rng.randint(1, 4)


def _human(
    rng: Random, out: list[Human], sex: Sex, surname: tuple[str, str], year: int, home: Address, line: str
) -> Human:
    names = MEN if sex is Sex.MALE else WOMEN
    first, call = rng.choice(names)
    given = [first, *(rng.choice(names)[0] for _ in range(rng.choice((0, 0, 1, 1, 2))))]
    human = Human(
        len(out),
        sex,
        tuple(given),
        call,
        surname,
        (year, rng.randint(1, 12), rng.randint(1, 28)),
        home,
        phone=_number(rng) if rng.random() < 0.8 else line,
        email=f"{call}.{len(out)}@post.example".lower() if rng.random() < 0.5 else "",
        bsn=f"1:{rng.getrandbits(96):024x}" if rng.random() < 0.97 else "",
    )
    out.append(human)
    return human


def _municipal(rng: Random, h: Human) -> IdentityFacts:
    year, month, day = h.born
    chance = rng.random()
    born = (
        PartialDate(year)
        if chance < 0.01
        else PartialDate(year, 1, 1)
        if chance < 0.02
        else PartialDate(year, month, day)
    )
    return IdentityFacts(
        source="gemeente",
        given_names=" ".join(h.given) if rng.random() < 0.9 else "",
        initials="".join(f"{n[0]}." for n in h.given),
        surname_prefix=h.surname[0],
        surname=_slip(rng, h.surname[1], 0.01),
        partner_prefix=h.partner[0] if h.partner else "",
        partner_surname=h.partner[1] if h.partner else "",
        birth_date=born,
        sex=h.sex,
        address=_home(rng, h.home, 0.06),
        bsn_token=h.bsn if rng.random() < 0.97 else "",
    )


def _heard(rng: Random, h: Human, source: str) -> IdentityFacts:
    year, month, day = h.born
    born = PartialDate(year, month, day)
    chance = rng.random()
    if chance < 0.04:
        born = PartialDate()
    elif chance < 0.07:
        born = PartialDate(year, 1, 1)
    elif chance < 0.08 and day <= 12:
        born = PartialDate(year, day, month)
    elif chance < 0.09:
        born = PartialDate(year, month, day % 10 + 1 if day < 10 else day)
    first = rng.choices((h.call, h.given[0], _slip(rng, h.call, 1.0), ""), (80, 10, 4, 6))[0]
    prefix, surname = h.surname
    if h.partner and h.uses_partner and rng.random() < 0.8:
        own, partner = " ".join(h.surname).strip(), " ".join(h.partner).strip()
        prefix, surname = {1: h.partner, 2: ("", f"{partner}-{own}"), 3: ("", f"{own}-{partner}")}[h.uses_partner]
    letters = [n[0] for n in h.given]
    return IdentityFacts(
        source=source,
        call_name=first,
        initials=rng.choice(("".join(letters), ".".join(letters) + ".", letters[0] + ".", "")),
        surname_prefix=prefix,
        surname=_slip(rng, surname, 0.05),
        birth_date=born,
        sex=h.sex if rng.random() < 0.98 else Sex.UNKNOWN,
        address=_home(rng, h.home, 0.12),
        phone=h.phone if rng.random() < 0.85 else "",
        email=h.email if rng.random() < 0.6 else "",
    )


def _home(rng: Random, home: Address, moved: float) -> Address:
    if rng.random() < moved:
        return Address(
            "Nieuwstraat", str(rng.randint(1, 160)), postcode=f"{rng.randint(4400, 4470)}{rng.choice('ABCD')}Z"
        )
    if rng.random() < 0.5:
        return home
    text = f"{home.house_number}{home.house_letter.lower()}{'-' if home.house_addition else ''}{home.house_addition}"
    return Address(
        house_number=text, postcode=f"{home.postcode[:4]} {home.postcode[4:].lower()}" if rng.random() < 0.95 else ""
    )


def _weighted(rng: Random, names: list[tuple[str, str]]) -> tuple[str, str]:
    return names[int(len(names) * rng.random() ** 1.7)]


def _number(rng: Random) -> str:
    return f"06-{rng.randint(10_000_000, 99_999_999)}"


def _slip(rng: Random, name: str, chance: float) -> str:
    if rng.random() >= chance or len(name) < 4:
        return name
    at = rng.randrange(1, len(name) - 1)
    return name[:at] + (name[at + 1 :] if rng.random() < 0.5 else name[at + 1] + name[at] + name[at + 2 :])


@dataclass(frozen=True)
class Quality:
    """Of a partition beside the truth: pairs, and clients that hold more than one human."""

    precision: float
    recall: float
    mixed: int
    clients: int


def measure(clients: list[tuple[str, ...]], truth: dict[str, int]) -> Quality:
    by_human: dict[int, int] = {}
    for human in truth.values():
        by_human[human] = by_human.get(human, 0) + 1
    wanted = sum(n * (n - 1) // 2 for n in by_human.values())
    linked = right = mixed = 0
    for members in clients:
        counts: dict[int, int] = {}
        for member in members:
            counts[truth[member]] = counts.get(truth[member], 0) + 1
        linked += len(members) * (len(members) - 1) // 2
        right += sum(n * (n - 1) // 2 for n in counts.values())
        mixed += len(counts) > 1
    return Quality(right / linked if linked else 1.0, right / wanted if wanted else 1.0, mixed, len(clients))
