"""XML that attacks, and messages not in the form OP192 asks for: refused with a reason, nothing expanded or fetched."""

from __future__ import annotations

import base64
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from istandaarden_messages import envelope, message, start

from samenloop_connectors.istandaarden import envelope as envelopes
from samenloop_connectors.istandaarden import hardened, messages
from samenloop_connectors.sdk.errors import DataError

GOOD = message("305", start())


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(DataError) as caught:
        messages.read(*envelopes.message(data))
    return caught.value.code, caught.value.field


def laughs() -> bytes:
    entities = "".join(
        f'<!ENTITY l{n} "{"&l" + str(n - 1) + ";" if n else "lol"}{("&l" + str(n - 1) + ";") * 9 if n else ""}">'
        for n in range(10)
    )
    return b'<?xml version="1.0"?>\r\n<!DOCTYPE x [' + entities.encode() + b"]>\r\n<x>&l9;</x>\r\n"


def test_a_billion_laughs_are_refused_at_once() -> None:
    tracemalloc.start()
    began = time.monotonic()
    assert refused(laughs()) == ("document_type", "")
    assert refused(envelope(laughs())) == ("document_type", "")
    assert time.monotonic() - began < 1
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()


def test_an_external_entity_is_neither_read_nor_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("Zwartkruis")
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_address[1]}"
        for source in (secret.as_uri(), f"{here}/entity"):
            assert refused(f'<!DOCTYPE x [<!ENTITY e SYSTEM "{source}">]>\r\n<x>&e;</x>'.encode())[0] == "document_type"
        assert refused(f'<!DOCTYPE x SYSTEM "{here}/dtd">\r\n<x/>'.encode())[0] == "document_type"
        include = f'<x xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{secret.as_uri()}"/></x>'
        assert b"Zwartkruis" not in hardened.etree.tostring(hardened.parse(include.encode()))
        located = GOOD.replace(b"<m:Bericht ", f'<m:Bericht xmlns:s="s" s:schemaLocation="s {here}/xsd" '.encode(), 1)
        assert messages.read(*envelopes.message(located)) is not None
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GOOD.replace(b"\r\n", b"\r\n<!DOCTYPE x>\r\n", 1), ("document_type", "")),
        (GOOD.replace(b"Zwartkruis", b"&unknown;"), ("no_xml", "line")),
        (b"<a>" * 40 + b"</a>" * 40, ("too_deep", "")),
        (b"<a>" * 100_000, ("", "")),
        (b"<a>" + b"<b/>" * 210_000 + b"</a>", ("too_large", "")),
        (b"<a>" + b"x" * (11 * 1024 * 1024) + b"</a>", ("no_xml", "line")),
        (b" " * (hardened.MOST_BYTES + 1), ("too_large", "OP179")),
        (b"", ("no_xml", "line")),
        (b"<a>", ("no_xml", "line")),
        (b"<a/><b/>", ("no_xml", "line")),
        (GOOD[:400], ("no_xml", "line")),
        (b"\x00" + GOOD, ("encoding", "")),
        (GOOD.decode().encode("utf-16"), ("encoding", "")),
        (GOOD.replace(b"UTF-8", b"UTF-7", 1), ("encoding", "")),
        (GOOD.replace(b"UTF-8", b"ISO-8859-1", 1), ("encoding", "")),
        (GOOD.replace(b"Zwartkruis", "Käster".encode("latin-1")), ("encoding", "")),
        (b"\xef\xbb\xbf" + GOOD, ("byte_order_mark", "OP192")),
        (GOOD.replace(b"\r\n", b"\n"), ("line_ends", "OP192")),
        (GOOD.replace(b"\r\n", b"\r"), ("line_ends", "OP192")),
        (GOOD + b"\n", ("line_ends", "OP192")),
        (envelope(b"\xef\xbb\xbf" + GOOD), ("byte_order_mark", "OP192")),
        (envelope(GOOD.replace(b"\r\n", b"\n")), ("line_ends", "OP192")),
        (envelope(envelope(GOOD).replace(b"\n", b"\r\n")), ("envelope", "bericht")),
        (envelope(GOOD, function="JW307"), ("envelope", "functie")),
        (envelope(GOOD).replace(b"<GGK:xmlBestand>", b"<GGK:xmlBestand>!"), ("base64", "bericht")),
        (envelope(b"x" * 60_000).replace(b"eHh4", b"eH%4", 1), ("base64", "bericht")),
        (envelope(GOOD).replace(b"bericht>", b"berichten>"), ("missing", "bericht")),
        (envelope(GOOD).replace(b"envelopHeenbericht", b"envelopIets"), ("envelope", "root")),
        (envelope(b"a" * (9 * 1024 * 1024)), ("no_xml", "line")),
        (message("305", start(), release="3_1"), ("release", "")),
        (message("305", start(), subversion="1"), ("release", "")),
        (GOOD.replace(b">438<", b">440<"), ("unknown_code", "BerichtCode")),
        (b"<Bericht/>", ("no_message", "")),
        (GOOD.replace(b"ijw/3_2/jw305", b"ijw/3_2/jw305x"), ("no_message", "")),
        (GOOD.replace(b"2026-01-14", b"2026-02-30"), ("unreadable", "Dagtekening")),
        (GOOD.replace(b"42420001", b"4242001"), ("unreadable", "Afzender")),
        (GOOD.replace(b"999900006", b"99990000A"), ("unreadable", "Bsn")),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_with_a_reason(data: bytes, reason: tuple[str, str]) -> None:
    code, field = refused(data)
    assert code == (reason[0] or code), (code, field)
    assert field.partition(" ")[0] == reason[1] or not reason[0]


def test_a_refusal_says_nothing_of_the_text() -> None:
    for spoiled in (
        GOOD.replace(b"</b:Achternaam>", b"</b:Zwartkruis>"),
        GOOD.replace(b"Zwartkruis", b"Zwartkruis &amp"),
        GOOD.replace(b"999900006", b"Zwartkruis"),
    ):
        with pytest.raises(DataError) as caught:
            messages.read(*envelopes.message(spoiled))
        told = repr(caught.value) + str(caught.value) + caught.value.detail + caught.value.field
        assert "Zwartkruis" not in told
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("holder", ["xmlBestand", "tekstBestand"])
def test_a_message_is_the_same_bare_and_in_an_envelope(holder: str) -> None:
    bare = messages.read(*envelopes.message(GOOD))
    assert bare == messages.read(*envelopes.message(envelope(GOOD, holder=holder)))
    older = envelope(GOOD).replace(b"koppelvlak/ggk0210", b"sectormodel/ggk/0210")
    older = older.replace(b"<GGK:xmlBestand>", b"").replace(b"</GGK:xmlBestand>", b"")
    assert bare == messages.read(*envelopes.message(older))


def test_a_message_on_one_line_and_one_with_comments_can_be_read() -> None:
    bare = messages.read(*envelopes.message(GOOD))
    assert bare == messages.read(*envelopes.message(GOOD.replace(b"\r\n", b"")))
    commented = GOOD.replace(b"<b:Achternaam>", b"<!-- x --><b:Achternaam><?php x?>")
    assert bare == messages.read(*envelopes.message(commented))


def test_messages_of_other_kinds_are_passed_by() -> None:
    for other in ("315", "317", "319", "323", "325"):
        assert messages.read(*envelopes.message(GOOD.replace(b"jw305", b"jw" + other.encode()))) is None


def test_what_may_not_be_kept_is_not_read() -> None:
    read = messages.read(*envelopes.message(message("301", {"allocation": "1", "category": "45", "code": "45A04",
        "begin": "2026-01-05", "given": "2026-01-02", "at": "10:00:00"})))  # fmt: skip
    assert read is not None
    kept = repr(read)
    for dropped in ("COMMENTAAR", "Zweeds", "JuridischeStatus", "'04'", "'09'"):
        assert dropped not in kept


def test_base64_of_line_breaks_and_blanks_is_read() -> None:
    spread = envelope(GOOD).replace(base64.encodebytes(GOOD)[:20], base64.encodebytes(GOOD)[:20] + b"\r\n \t ")
    assert messages.read(*envelopes.message(spread)) is not None
