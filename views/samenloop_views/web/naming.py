"""How a Dutch person is called: first name or initials, and the surname by the name that he uses."""

from __future__ import annotations

from samenloop_schemas.codes import NameUsage
from samenloop_schemas.records import IdentityFacts


def full_name(person: IdentityFacts) -> str:
    """Such as "Fatima de Vries-Jansen"; empty when no name is known."""
    first = person.call_name or person.given_names or person.initials
    return " ".join(filter(None, (first, _surname(person))))


def _surname(person: IdentityFacts) -> str:
    own = " ".join(filter(None, (person.surname_prefix, person.surname)))
    partner = " ".join(filter(None, (person.partner_prefix, person.partner_surname)))
    if not partner:
        return own
    match person.name_usage:
        case NameUsage.PARTNER:
            return partner
        case NameUsage.PARTNER_OWN:
            return "-".join(filter(None, (partner, own)))
        case NameUsage.OWN_PARTNER:
            return "-".join(filter(None, (own, partner)))
        case _:
            return own
