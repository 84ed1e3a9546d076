"""Code lists whose meaning depends on the law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from samenloop_connectors.istandaarden.config import Law
from samenloop_schemas.codes import EndReason

END_REASONS: Final[Mapping[Law, Mapping[str, EndReason]]] = {
    "WMO": {
        "02": EndReason.DECEASED,
        "19": EndReason.PLANNED,
        "20": EndReason.PAUSED,
        "21": EndReason.CLIENT,
        "22": EndReason.PROVIDER,
        "23": EndReason.AGREED,
        "31": EndReason.MOVED,
        "36": EndReason.MUNICIPALITY,
        "37": EndReason.CHANGE_REQUEST,
        "38": EndReason.OTHER_PROVIDER,
        "39": EndReason.OTHER_DOMAIN,
    },
    "JW": {
        "02": EndReason.DECEASED,
        "20": EndReason.PAUSED,
        "31": EndReason.PLANNED,
        "32": EndReason.CLIENT,
        "33": EndReason.PROVIDER,
        "34": EndReason.AGREED,
        "35": EndReason.EXTERNAL,
        "36": EndReason.MUNICIPALITY,
        "37": EndReason.CHANGE_REQUEST,
        "38": EndReason.OTHER_PROVIDER,
        "39": EndReason.OTHER_DOMAIN,
    },
}
"""Code lists WMO588 and JZ588: the same number can mean something else under the other law."""
