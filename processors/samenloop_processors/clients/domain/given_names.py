"""First names: which call names belong to which formal names, and which spellings are names in their own right.

A frozen table: it is part of what a model version means. Formal name first, then the call names that people use for it.
"""

from __future__ import annotations

from functools import lru_cache

from samenloop_processors.clients.domain.text import fold, similar

_TABLE = """
abdelkader: kader
abdellah: abdel
abdul: abdoel
abdurrahman: abdul apo
abraham: bram braham ab
adriana: adri jana adje adrie sjaan adriaantje
adrianus adriaan: adri arie ad adje janus arjaan adrie arjan
agnieszka: aga agusia
albertus albert: bert ab appie bertus
aleida: alie ali leida
aleksandra: ola
alexander: alex lex sander xander
alida: alie lida
alphonsus: fons alfons
andreas: andre andries dries
angelique: angel
anna: anneke anja anke annie annet annelies ans ann anne antje ania
anna-maria annamaria: annemarie marianne
antonia antoinette: toni tonny tonnie toos netty annet
antonius anthonius antoon: ton toon anton antoine tonny tonnie twan teun teunis
arnoldus: arnold nol noud
augustinus: guus stijn
ayse: aysun
barbara: babs bar basia
bartholomeus: bart bartel mees
benjamin: ben benny
bernardus: bernard ben bernd bennie
catharina: cato toos trees rina ina karin kitty trijn trijntje tineke ineke catrien kaat nienke
charlotte: lot lotte lotje charlot
christiaan christianus: chris christian
christina: christien stien tineke chris tina stientje
christophorus christoffel: chris stoffel
cornelia: cor corrie nelly nel neeltje corry lia keetje
cornelis: cor kees cees nelis krelis
daniel: daan dani
danielle: daan dani
dennis: den
dirk diederik: dick dik diede
dorothea: dora thea doortje door dorien
eduard: ed eddy edward
edwin: ed eddy
egbertus egbert: bert eg
elisabeth elizabeth: els bep betty betsy lies liesbeth elly ellie lisa elsa lijsbeth lizzy bets elise liz
ewa: ewunia
fatima: fatma fatiha
fatma: fatos
francisca: francis fransje siska cisca sien francien
franciscus: frans frank cis sus frenk
frederik: fred frits freek fre
frederika: freddie rika frederique
geertruida: truus trudy geertje trui gertrude truida geerte
gerarda: gerda gera gerrie
gerardus gerard: ger gerrit geert gerd sjra gradus grard
gerhardus: gerard gerrit gert
gerrit: ger gert garrit
gijsbertus gijsbert: gijs bert
godefridus: frits fried govert
gregorius: gregor gre
grzegorz: grzesiek
hassan: hasan
hatice: hatca
helena: lena leni heleen ellen hella leentje lenie helen
hendrika henrica: riek hennie rika henny hetty ria
hendrikus hendrik henricus: henk hein henry hennie rik harry hans driek
hermanus: herman harm manus
hubertus: bert huub hub huib
hussein: hossein hoessein
ibrahim: ebrahim brahim
ignatius: ignace naas
isaac izaak: sjaak izak
isabella isabel: isa bella ies
jacoba: coby koos cobie jacqueline
jacobus jacob: jaap koos sjaak jac cobus jack ko coos
jan-willem janwillem: jan jw
jannetje: jannie janna jans
jeroen hieronymus: jer
jerzy: jurek
joanna: asia
johanna: jo hannah anna joke annie jopie hanna janneke jannie hanneke jansje ans johanneke sjaan
johannes johan: jan hans joop jo hannes john sjon han jannes
josephina: josefien fien jose fina josephine josie
josephus jozef: jos joseph jef joep sjef
julia: juul
karel carolus: carel charles
katarzyna: kasia
kevin: kev
khadija: khadiga hadija
khalid: kalid
krzysztof: krzysiek chris
lambertus: bert lambert bertus lam
laurentius: laurens rens lau lou laurent
leonardus: leo leonard leen len leendert lenard lenaert
lodewijk ludovicus: lou louis lode wiek
louisa: loes wies louise
lucas: luuk luc luka
magdalena: magda leen madeleine lena magdaleen
malgorzata: gosia
marcus markus: mark marc
margaretha margareta: greet gre marga griet margriet margreet gretha greetje rita grietje
maria: marie mieke mia ria marijke rie marieke miep mies maaike marja mariska riet marietje
marie-louise marielouise: marlou malou
marinus: rien rinus marijn marien
mariusz: mario
marjolein: marjo marjolijn
martha: mar marthe
martinus: martin tinus maarten tien mart
mathilda: tilly hilda thilde
matthijs matthias mattheus: thijs mat ties theo matthieu matti tijs
maximiliaan: max maxim
michael michiel: mike giel chiel michel
michal: misiek
mohammed mohamed muhammad mohammad: mo moh mehmet
mustafa: mus moustafa
nicolaas: klaas nico niek nick claas
nicole nicolette: nicky nikki nic
olivia: liv livia
osman: os
otto: ot
patricia: pat patty tricia
pauline paulina: paula lien
paulus: paul pauw
pawel: pawelek
petronella: nel nelly petra ella pietje nellie
petrus pieter: piet peter pier pim
philippus: flip filip philip
pieternella: pietje nelly nel
piotr: piotrek
quirinus: krijn rien
rachid: rasjid rashid
reinier: rein
robertus robert: rob bert bob robbert robin
roelof: roel
ronald: ron ronnie
rudolf: ruud rudi dolf rudy
samuel: sam
sebastiaan: bas seb bastiaan
simon: siem
sophia: fie sofie sophie fietje
stanislaw: staszek
stephanus: stef steven stefan fanus
suleyman: sule sulo
susanne: sanne suus
suzanna susanna: suze suus suzan sanne
teunis: teun ton
theodora: doortje thea dora door theodoor
theodorus theodoor: theo dirk door dorus
theresia: trees thea tess truus resie
thomas: tom tommy tomas
timotheus: tim timo
tobias: tobi
tomasz: tomek
victor: vic vik
vincentius vincent: vin cent
wilhelmina: mina willy wil helma willemien willemijn mien minie
wilhelmus willem: wim wil willy pim helmus bill william helm guillaume
wojciech: wojtek
wouter walterus: wout wolter
youssef: joussef
yusuf: joesoef yousef youssef
zacharias: zach
zbigniew: zbyszek
zeynep: zey
"""

_OWN_NAMES = """
aaron adam ahmed aisha ali amber amina amir amy angela anne annabel anouk arjan arthur astrid ayoub bas bea bianca bo bob boris
britt carla carlijn cas cato chantal charlotte claudia daan daniel danny david debbie demi denise dennis desiree dewi diana
dina dylan edwin elena elin elif eline ella emma emily emre erik erica esmee esther eva evi femke fenna finn fleur floor
floris frank gijs gina hamza hanna hanneke hannah heidi hugo ilse imane inge ingrid iris isa isabel ivo jade jamal jan jana
janna jari jasmijn jasper jayden jelle jens jesse jet jim jip joep johan jolanda jonas joost joris joshua joyce judith
julia julian julie jurre karim karin kees kevin kim klaas koen kyra lana lars laura lauren lea levi lieke lina linda lisa
liam liv lotte lucas lucy luna lynn maan maartje manon marc marco marcel mariam marit mark marloes marleen mats max
maya melissa merel merlijn michelle mick mike mila milan milou mira mirjam mohamed monique morris naomi nadia nathalie
nick niels nienke nina noa noah nora noud nour olivia omar oscar pascal patricia patrick pepijn petra pien pim pieter
quinten ralph ramon remco rene rick robin roel romy ron roos rosa ruben ruud ryan saar sam samira sander sandra sara
sascha sebastiaan selma sem senna siem silvia sjoerd sofia sofie sonja stan stefan stijn sven sylvia tamara tara tess
teun thijs thomas tijn tim timo tina tobias tom twan valerie vera vince wendy wesley willemijn wouter yara yasmin yasmine
youssef yusuf yvonne zara zeynep zoe
"""


def _load() -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    forms: dict[str, set[str]] = {}
    for line in _TABLE.strip().splitlines():
        formal_part, _, call_part = line.partition(":")
        formals = [fold(name).replace("-", "") for name in formal_part.split()]
        for formal in formals:
            forms.setdefault(formal, set()).add(formals[0])
        for call in call_part.split():
            forms.setdefault(fold(call), set()).add(formals[0])
    own = {fold(name) for name in _OWN_NAMES.split()}
    return {name: frozenset(names) for name, names in forms.items()}, frozenset(own | forms.keys())


_FORMS, KNOWN = _load()


def forms(name: str) -> frozenset[str]:
    """The formal names that a name can stand for; the name itself when the table does not know it."""
    return _FORMS.get(name) or frozenset((name,))


@lru_cache(maxsize=65536)
def match(a: str, b: str) -> int:
    """How two folded first names agree: 3 the same, 2 one a form of the other, 1 a typing error apart, 0 not at all.

    Two names that both exist are never each other's typing error: *Anna* and *Anne*, *Tim* and *Tom* can be twins.
    """
    if a == b:
        return 3
    if not forms(a).isdisjoint(forms(b)):
        return 2
    if (a in KNOWN and b in KNOWN) or not similar(a, b):
        return 0
    return 1
