"""The connector processes of the demo, one module and one line each."""

from typing import Final

from . import backoffice, cjg, ggd, istandaarden, mee, smwo
from .feed import Feed

FEEDS: Final[tuple[Feed, ...]] = (
    smwo.FEED,
    backoffice.FEED,
    istandaarden.FEED,
    cjg.FEED,
    mee.FEED,
    ggd.FEED,
)
