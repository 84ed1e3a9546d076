"""The StUF-GGK envelope: a message in base64 inside ``envelopHeenbericht-ggk_Di01`` or ``envelopRetourbericht-ggk_Du01``.

Patch 4 of ggk0210 writes ``bericht`` with a child ``xmlBestand`` or ``tekstBestand``; older gateways put the base64 straight into
``bericht``. What OP192 asks (no byte order mark, CR and LF) is asked of the message, not of the envelope around it.
"""

from __future__ import annotations

import base64
import binascii
import re

from lxml import etree

from samenloop_connectors.istandaarden import hardened
from samenloop_connectors.sdk.errors import DataError

_GGK = re.compile(r"^http://www\.(?:stufstandaarden\.nl/koppelvlak/ggk0210|stufstandaarden\.nl/sectormodel/ggk/0210)$")
_STUF = "http://www.egem.nl/StUF/StUF0301"
_ROOTS = ("envelopHeenbericht-ggk_Di01", "envelopRetourbericht-ggk_Du01")
_FUNCTION = re.compile(r"^(?:WMO|JW)\d{3}$")
_SPACE = re.compile(r"\s+")


def message(data: bytes) -> tuple[etree._Element, str]:
    """The message in a file, bare or enveloped, and the function the envelope names for it (``JW301``) or nothing.

    Raises DataError.
    """
    root = hardened.parse(data)
    namespace, name = hardened.local(root)
    if not _GGK.match(namespace):
        hardened.require_message_form(data)
        return root, ""
    if name not in _ROOTS:
        raise DataError("envelope", "root")
    content = _payload(root, namespace)
    hardened.require_message_form(content)
    inner = hardened.parse(content)
    if _GGK.match(hardened.local(inner)[0]):
        raise DataError("envelope", "bericht")
    return inner, _function(root, namespace)


def _payload(root: etree._Element, namespace: str) -> bytes:
    wrapped = root.find(f"{{{namespace}}}parameters/{{{namespace}}}bericht")
    if wrapped is None:
        raise DataError("missing", "bericht")
    files = [wrapped.find(f"{{{namespace}}}{name}") for name in ("xmlBestand", "tekstBestand")]
    holder = next((each for each in files if each is not None), wrapped)
    if len(holder):
        raise DataError("envelope", "bericht")
    try:
        return base64.b64decode(_SPACE.sub("", holder.text or ""), validate=True)
    except (binascii.Error, ValueError):
        raise DataError("base64", "bericht") from None


def _function(root: etree._Element, namespace: str) -> str:
    text = (root.findtext(f"{{{namespace}}}stuurgegevens/{{{_STUF}}}functie") or "").strip().upper()
    return text if _FUNCTION.match(text) else ""
