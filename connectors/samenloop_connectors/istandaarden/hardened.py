"""XML from outside, read so that no document can do more than be read: no DTD, no entities, no network, no huge tree.

What is forbidden is refused before the parser sees it (a document type), or while it parses (depth, number of elements), so
that no attack is ever expanded. Refusals name a reason and a line, never anything of the text.
"""

from __future__ import annotations

import re

from lxml import etree

from samenloop_connectors.sdk.errors import DataError

MOST_BYTES = 25 * 1024 * 1024
"""OP179."""
MOST_DEPTH = 32
MOST_ELEMENTS = 200_000
"""One message is about one client: some hundred elements, at most nine deep."""
_CHUNK = 64 * 1024
_DECLARED = re.compile(rb"""^<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._\-]+)["']""")
_BOM = b"\xef\xbb\xbf"


def parse(data: bytes) -> etree._Element:
    """The root of a UTF-8 document. Raises DataError."""
    if len(data) > MOST_BYTES:
        raise DataError("too_large", "OP179")
    declared = _DECLARED.match(data.removeprefix(_BOM))
    if declared and declared[1].lower() not in (b"utf-8", b"us-ascii"):
        raise DataError("encoding")
    if b"\0" in data or not _is_utf8(data):
        raise DataError("encoding")
    if b"<!DOCTYPE" in data:
        raise DataError("document_type")
    parser = etree.XMLPullParser(
        events=("start", "end"),
        encoding="UTF-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    depth = elements = 0
    try:
        for start in range(0, len(data), _CHUNK):
            parser.feed(data[start : start + _CHUNK])
            for event, _ in parser.read_events():
                depth += 1 if event == "start" else -1
                elements += event == "start"
                if depth > MOST_DEPTH:
                    raise DataError("too_deep")
                if elements > MOST_ELEMENTS:
                    raise DataError("too_large")
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise DataError("no_xml", f"line {error.lineno or 0}") from None
    if not isinstance(root, etree._Element):
        raise DataError("no_xml")
    return root


def require_message_form(data: bytes) -> None:
    """What OP192 asks of a message beside being XML: no byte order mark, and every line ends with CR and LF. Raises DataError."""
    if data.startswith(_BOM):
        raise DataError("byte_order_mark", "OP192")
    pairs = data.count(b"\r\n")
    if data.count(b"\n") != pairs or data.count(b"\r") != pairs:
        raise DataError("line_ends", "OP192")


def local(element: etree._Element) -> tuple[str, str]:
    """Namespace and name of an element."""
    name = etree.QName(element)
    return name.namespace or "", name.localname


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
