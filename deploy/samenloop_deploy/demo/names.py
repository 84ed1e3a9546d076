"""Name lists of the synthetic population, written from general knowledge of Dutch naming; no register was read.

Weights are rough and only have to be uneven: common names must collide, as they do in life.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class GivenName:
    """A formal first name (as in the register) with the call names that go with it, the usual one first."""

    formal: str
    calls: tuple[str, ...]
    weight: int


@dataclass(frozen=True, slots=True)
class Surname:
    """A surname apart from its prefix (tussenvoegsel); the prefix is empty for most."""

    prefix: str
    name: str
    weight: int

    @property
    def full(self) -> str:
        return f"{self.prefix} {self.name}".strip()


def _given(text: str) -> tuple[GivenName, ...]:
    """Parses ``Formal=Call/Call:weight`` items; without ``=`` the call name is the formal one."""
    names = []
    for item in text.split():
        left, _, weight = item.partition(":")
        formal, _, calls = left.partition("=")
        names.append(GivenName(formal, tuple(calls.split("/")) if calls else (formal,), int(weight or 3)))
    return tuple(names)


def _surnames(text: str) -> tuple[Surname, ...]:
    """Parses ``van_den_Berg:40`` items: lower-case leading words are the prefix; a ``+`` stands for a space in the name."""
    names = []
    for item in text.split():
        left, _, weight = item.partition(":")
        words = left.split("_")
        at = next(i for i, word in enumerate(words) if word.lower() != word)
        names.append(Surname(" ".join(words[:at]), " ".join(words[at:]).replace("+", " "), int(weight or 4)))
    return tuple(names)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# People born before about 1985: the formal name is often a saint's name that nobody is called by.
OLDER_MEN: Final = _given("""
    Johannes=Jan/Hans/Johan/Joop:40 Cornelis=Kees/Cor/Cees:22 Jacobus=Jaap/Koos/Jack:14 Petrus=Piet/Peter:18
    Hendrik=Henk/Rik:20 Wilhelmus=Wim/Willem/Helm:18 Adrianus=Ad/Adrie/Janus:16 Marinus=Rinus/Marien:10
    Gerardus=Gerard/Geert/Sjra:10 Antonius=Ton/Toon/Anton:14 Franciscus=Frans/Cis:10 Theodorus=Theo/Dorus:8
    Martinus=Martin/Tinus:8 Leendert=Leen/Lenard:7 Pieter=Piet/Pieter:12 Willem=Wim/Willem:12 Robertus=Rob/Robert:9
    Marcus=Mark:9 Michael=Michel/Michael:7 Erik:8 Dirk=Dirk/Dick:8 Arie:5 Jozef=Jos/Sjef:8 Lambertus=Bert/Lambert:6
    Egbertus=Bert/Egbert:4 Richard:6 Ronald=Ron/Ronald:7 Patrick:5 Bartholomeus=Bart:5 Christiaan=Chris/Christiaan:6
    Lucas=Luuk/Lucas:5 Izaak=Sjaak/Izaak:3 Abraham=Bram:5 Albertus=Bert/Ab:6 Gijsbertus=Gijs/Bert:4 Jeroen:6
    Rudolf=Ruud/Dolf:5 Simon=Siem/Simon:3 Edwin:5 Dennis:6
""")
OLDER_WOMEN: Final = _given("""
    Maria=Ria/Marie/Mia/Marja:34 Johanna=Joke/Annie/Jo/Hanneke:28 Cornelia=Corrie/Nel/Lia:18
    Elisabeth=Betty/Els/Lies/Bep:16 Anna=Annie/Anneke/Ans:18 Wilhelmina=Wil/Willy/Mien/Minie:16
    Adriana=Jana/Adrie/Sjaan:12 Hendrika=Riek/Henny/Rika:12 Petronella=Nel/Petra/Ella:10
    Margaretha=Greet/Margriet/Greta:10 Catharina=Toos/Cato/Rina/Ina:12 Jacoba=Coby/Jacqueline:9
    Antonia=Toni/Toos/Tonny:6 Francisca=Cisca/Sien:5 Geertruida=Truus/Trudy/Geertje:8 Theodora=Thea/Dora:6 Monique:7
    Yvonne:6 Ingrid:7 Sandra:8 Patricia=Patricia/Pat:6 Esther:6 Karin:6 Linda:9 Angelique:4
    Marjolein=Marjo/Marjolein:4 Astrid:4 Christina=Stien/Tineke/Chris:7 Helena=Leni/Helen/Lenie:6
    Josephina=Jose/Fien:5 Anja:4 Magdalena=Leen/Magda:5 Neeltje=Neeltje/Nel:4 Pieternella=Pietje/Nelly:4
    Jannetje=Jannie/Janna:5 Wendy:6 Bianca:5 Miranda:5 Suzanna=Suze/Suus:3
""")
YOUNGER_BOYS: Final = _given("""
    Daan:14 Sem:12 Lucas=Luuk/Lucas:10 Levi:10 Finn:10 Noah:11 Milan:9 Jayden:6 Bram:8 Thijs:9 Jesse:8 Ruben:8
    Lars:8 Thomas=Tom/Thomas:10 Tim:6 Sander:5 Stijn:7 Max:6 Gijs:6 Julian:6 Dylan:5 Niels:5 Bas:5
    Sebastiaan=Bas/Sebastiaan:4 Matthijs=Thijs/Matthijs:5 Alexander=Alex/Sander:5 Benjamin=Ben/Benjamin:4
    Maximiliaan=Max:2 Johannes=Hannes/Jan/Joep:5 Jan-Willem:2 Dirk:3 David:5 Mees:6 Luca:5 Xavi:2 Kevin:4 Jordy:4
    Rick:4 Floris:3 Jurre:3 Siem:3 Quinten:3 Robin:4 Mats:4 Tijn:3 Job:2 Joris:3 Pieter=Piet/Pieter:4 Willem:4
    Cornelis=Kees:3 IJsbrand:1 Theo:1
""")
YOUNGER_GIRLS: Final = _given("""
    Emma:14 Julia:11 Sophie:10 Tess:9 Zoë:8 Mila:8 Sara:9 Anna=Anna/Ann:9 Lotte:8 Eva:9 Lisa:9 Fleur:7 Lieke:7 Noa:6
    Saar:5 Roos:5 Evi:5 Femke:5 Maud:5 Isabella=Isa/Bella:5 Elisabeth=Lisa/Elise/Liz:5 Johanna=Hannah/Jo:4
    Charlotte=Lot/Charlotte:4 Josephine=Fien/Josie:3 Anne-Fleur:2 Marie-Louise=Marlou:1 Naomi:4 Britt:4 Demi:4 Kim:5
    Melissa:4 Amber:5 Iris:4 Merel:4 Sanne:6 Susanne=Sanne/Suus:4 Maaike:3 Nina:5 Nora:4 Olivia=Liv/Olivia:5 Yara:3
    Loïs:3 Renée:3 Chloë:2 Jasmijn:4 Vera:3 Wilhelmina=Mina/Willemijn:2 Catharina=Cato/Kaat:3 Danique:3 Romy:3
    Maria=Mia:4
""")
DUTCH_SURNAMES: Final = _surnames("""
    de_Jong:34 Jansen:30 de_Vries:28 van_den_Berg:24 van_Dijk:22 Bakker:22 Janssen:20 Visser:20 Smit:18 Meijer:13
    Meyer:4 Meier:3 de_Boer:15 Mulder:15 de_Groot:14 Bos:14 Vos:12 Peters:12 Hendriks:12 Hendrikx:4 van_Leeuwen:11
    Dekker:11 Brouwer:11 de_Wit:10 Dijkstra:8 Smits:9 de_Graaf:9 van_der_Meer:9 van_der_Linden:9 Kok:9 Jacobs:9
    Jacobse:5 de_Haan:8 Vermeulen:9 van_den_Heuvel:9 van_der_Veen:7 van_den_Broek:9 de_Bruijn:7 de_Bruin:6
    van_der_Heijden:8 Schouten:7 van_Beek:7 Willems:8 Willemsen:4 van_Vliet:6 van_de_Ven:9 Hoekstra:4 Maas:7
    Verhoeven:8 Koster:6 Prins:6 van_Dam:7 Huisman:5 Peeters:5 de_Koning:7 van_der_Velden:7 Kuijpers:5 Kuipers:4
    Scholten:4 Verbeek:5 van_Wijk:5 Post:4 Martens:4 Kramer:5 Vink:4 Timmermans:6 Groen:5 Gerritsen:4 Schipper:4
    Driessen:5 Goedegebuure:4 Minnaard:4 de_Winter:5 Boonman:3 Nijsse:4 Nijssen:3 Steketee:4 Slabbekoorn:3 Wisse:5
    Geelhoed:3 Kloosterman:4 van_'t_Westeinde:4 van_der_Weele:3 van_Damme:4 Koole:4 de_Kok:4 Rijk:3 Zandee:3
    Dingemanse:3 Dingemans:2 Oostdijk:3 Poleij:2 de_Regt:3 Kodde:2 in_'t_Veld:3 ter_Horst:3 ten_Brinke:3
    op_den_Kelder:1 van_het_Hof:1 Reuvekamp:1 Hofman:4 Hoffman:2 van_Gestel:4 van_Meijl:3 Kerkhofs:3 Bax:3 Fransen:5
    Franssen:3 Teunissen:3 Theunissen:2 Schreurs:3 Claes:2 van_Asten:3 Geboers:2 Maessen:2 Mertens:3 van_der_Palen:2
    Roothans:1 Baken:2 Keijzer:3 Keizer:3 Käster:1 Müller:3 Bruggink:3 Kamphuis:3 Veldhuis:3 Nijland:3 Wolters:4
    Spijkerman:2 van_der_Kolk:4 Bosch:3 van_Oene:2 Docter:1 Holtland:2 Zieleman:1 Westerhof:3 Baron:1 Bouman:3
    d'Hont:1 l'Ami:1 d'Haene:1
""")


@dataclass(frozen=True, slots=True)
class Origin:
    """Names that go together in one family. ``partner_name``: whether wives tend to use the partner's name."""

    men: tuple[GivenName, ...]
    women: tuple[GivenName, ...]
    boys: tuple[GivenName, ...]
    girls: tuple[GivenName, ...]
    surnames: tuple[Surname, ...]
    weight: int
    partner_name: bool = True


_TURKISH_MEN = _given("""
    Mehmet:9 Mustafa:8 Ahmet:8 Ali:7 Hüseyin:5 Hasan:5 Ibrahim=Ibo/Ibrahim:4 Yusuf:5 Emre:4 Murat:5 Ömer:4 Kerem:2
    Can:2
""")
_TURKISH_WOMEN = _given("""
    Fatma:9 Ayşe:8 Emine:6 Hatice:6 Zeynep:5 Elif:6 Meryem:4 Özlem:3 Şükran:2 Esra:4 Büşra:3 Defne:2 Sibel:3
""")
_MOROCCAN_MEN = _given("""
    Mohamed=Mo/Mohamed:12 Mohammed=Mo/Moham:8 Ahmed:7 Youssef:6 Hassan:5 Rachid:5 Bilal:5 Abdelkader=Kader:2 Ayoub:4
    Said:4 Omar:4 Ilias:4 Karim:4
""")
_MOROCCAN_WOMEN = _given("""
    Fatima=Fatima/Fatiha:9 Khadija:6 Naima:5 Samira:5 Aicha:5 Nadia:5 Malika:3 Hafsa:4 Salma:4 Ikram:4
    Yasmina=Yasmin:4 Rachida:3
""")
_SURINAMESE_MEN = _given("""
    Ricardo:5 Orlando:4 Romeo:3 Clifton:3 Radjesh=Raj/Radjesh:4 Soerin:2 Dewanand=Dewan:3 Humphrey:4 Jermaine:3
    Winston:4
""")
_SURINAMESE_WOMEN = _given("""
    Shanti:4 Priya:4 Merlin:3 Chantal:4 Urmila:3 Sharda:3 Jacintha:3 Gladys:3 Anushka:3 Rowena:3 Soraya:3
""")
_POLISH_MEN = _given("""
    Piotr:6 Krzysztof=Krzysiek/Chris:5 Tomasz=Tomek/Thomas:5 Pawel:5 Marcin:4 Jakub=Kuba/Jakub:4 Michał:4
    Grzegorz=Greg:3 Kacper:3
""")
_POLISH_WOMEN = _given("""
    Agnieszka=Aga/Agnieszka:6 Katarzyna=Kasia/Kate:6 Małgorzata=Gosia:4 Anna=Ania/Anna:6 Joanna=Asia/Joanna:4
    Zuzanna=Zuza:3 Oliwia:3
""")
_TURKISH_SURNAMES = _surnames("""
    Yilmaz:10 Yıldız:5 Yildiz:4 Kaya:8 Demir:8 Çelik:5 Şahin:5 Sahin:3 Öztürk:6 Özturk:2 Aydin:5 Arslan:5 Aslan:3
    Koç:4 Doğan:4 Kılıç:3
""")
_MOROCCAN_SURNAMES = _surnames("""
    el_Idrissi:6 El+Amrani:5 el_Bakkali:4 Bouzid:3 Ouali:4 Benali:5 Ben+Ali:2 Amrani:4 Azzouzi:4 El+Azzouzi:3
    Chaoui:3 Haddou:3 Aît+Taleb:2 Bouali:3 Ouhadi:2
""")
_SURINAMESE_SURNAMES = _surnames("""
    Ramdin:5 Soekhoe:4 Jagroep:3 Kalloe:3 Bhagwandin:3 Pinas:4 Wijdenbosch:2 Ramautarsing:2 Mohan:3 Sewnarain:2
    Amatmoekrim:1 Blijd:2
""")
_POLISH_SURNAMES = _surnames("""
    Kowalski:5 Nowak:7 Wiśniewski:4 Wójcik:4 Kamiński:4 Lewandowski:4 Zieliński:3 Szymański:3 Woźniak:3 Kozłowski:3
    Mazur:4
""")

ORIGINS: Final = (
    Origin(OLDER_MEN, OLDER_WOMEN, YOUNGER_BOYS, YOUNGER_GIRLS, DUTCH_SURNAMES, 82),
    Origin(_TURKISH_MEN, _TURKISH_WOMEN, _TURKISH_MEN, _TURKISH_WOMEN, _TURKISH_SURNAMES, 5),
    Origin(_MOROCCAN_MEN, _MOROCCAN_WOMEN, _MOROCCAN_MEN, _MOROCCAN_WOMEN, _MOROCCAN_SURNAMES, 5, partner_name=False),
    Origin(_SURINAMESE_MEN, _SURINAMESE_WOMEN, _SURINAMESE_MEN, _SURINAMESE_WOMEN, _SURINAMESE_SURNAMES, 4),
    Origin(_POLISH_MEN, _POLISH_WOMEN, _POLISH_MEN, _POLISH_WOMEN, _POLISH_SURNAMES, 4),
)

STREETS: Final = _words("""
    Dorpsstraat Kerkstraat Molenweg Schoolstraat Nieuwstraat Stationsstraat Wilhelminastraat Julianalaan Beatrixlaan
    Irenestraat Margrietstraat Oranjestraat Prinsenhof Beukenlaan Eikenlaan Kastanjelaan Lindelaan Berkenhof
    Populierenstraat Esdoornstraat Meidoornlaan Ligusterpad Merelstraat Lijsterlaan Vinkenstraat Zwaluwstraat
    Reigerhof Kievitlaan Spechtstraat Koekoekpad Rozenstraat Tulpstraat Anjerhof Lavendelpad Akkerweg Veldweg
    Broekdijk Zandweg Heideweg Bosrand Korenbloem Roggeveld Haverkamp Tarweland Vlasakker Havenstraat Kadestraat
    Zeedijk Oosterdijk Westwal Noordsingel Zuidvliet Achterweg Markt Raadhuisplein Kloosterhof Kapelstraat
    Pastorielaan Burgemeesterslaan Notarisstraat Rembrandtstraat Vermeerlaan Steenhof Mauvestraat Hobbemapad
    Mozartlaan Vivaldihof Beethovenlaan Marconistraat Edisonweg Ampèrestraat Saturnushof Jupiterlaan Poolsterweg
    Zonneplein Maanstraat Ruyterstraat Trompstraat Evertsenlaan Tasmanweg Barentszhof Columbusstraat
""")


def pick_given(rng: Random, names: tuple[GivenName, ...]) -> GivenName:
    """One name by weight."""
    return rng.choices(names, [name.weight for name in names])[0]


def pick_surname(rng: Random, origin: Origin) -> Surname:
    """One surname of the origin by weight."""
    return rng.choices(origin.surnames, [name.weight for name in origin.surnames])[0]


def pick_origin(rng: Random) -> Origin:
    """One origin by weight."""
    return rng.choices(ORIGINS, [origin.weight for origin in ORIGINS])[0]


def initials_of(given_names: str) -> str:
    """One letter per first name by the BRP rule: a compound with a hyphen gives one, Th/Ph/IJ give one; each with a dot."""
    return "".join(f"{name[0].upper()}." for name in given_names.split())
