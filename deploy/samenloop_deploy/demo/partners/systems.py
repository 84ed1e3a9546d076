"""All partner systems of the demo, one line each."""

from __future__ import annotations

from .fhir import Fhir
from .gws import Gws
from .istandaarden import Istandaarden
from .mee import Mee
from .regas import Regas
from .seam import PartnerSystem, Surroundings
from .zgw import Zgw


def open_systems(surroundings: Surroundings) -> tuple[PartnerSystem, ...]:
    """Every system over one world, in the order in which their nights fall."""
    return (
        Regas.of(surroundings),
        Gws(surroundings),
        Istandaarden(surroundings),
        Mee(surroundings),
        Fhir(surroundings),
        Zgw(surroundings),
    )
