"""Does the broker let this user in? One SCRAM exchange on a socket of its own, read to the end.

A broker answers a wrong password and hangs up. kafka-python (3.0) often sees only the second, and reports a time-out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import struct
from enum import Enum, auto

from samenloop_schemas.kafka_access import KafkaAccess

_HANDSHAKE, _AUTHENTICATE = (17, 1), (36, 0)
_REFUSED = 58  # SASL_AUTHENTICATION_FAILED
_TIMEOUT_S = 5.0


class Answer(Enum):
    """ABSENT: nothing accepts a connection. UNCLEAR: something does, but speaks otherwise or falls silent."""

    LET_IN = auto()
    REFUSED = auto()
    ABSENT = auto()
    UNCLEAR = auto()


def ask_to_log_in(access: KafkaAccess, address: str) -> Answer:
    """Log in at one ``host:port`` and leave. Never raises."""
    host, _, port = address.strip().rpartition(":")
    host = host.strip("[]")
    try:
        connection = socket.create_connection((host, int(port)), timeout=_TIMEOUT_S)
    except (OSError, ValueError, OverflowError):
        return Answer.ABSENT
    try:
        context = access.ssl_context()
        with context.wrap_socket(connection, server_hostname=host) if context else connection as wire:
            return _exchange(wire, access)
    except (OSError, ValueError, KeyError, struct.error):
        return Answer.UNCLEAR
    finally:
        connection.close()


def _exchange(wire: socket.socket, access: KafkaAccess) -> Answer:
    """SCRAM (RFC 5802) inside SaslHandshake v1 and SaslAuthenticate v0."""
    mechanism = access.sasl_mechanism.encode()
    if struct.unpack(">h", _call(wire, _HANDSHAKE, struct.pack(">h", len(mechanism)) + mechanism)[:2])[0]:
        return Answer.UNCLEAR
    algorithm = "sha512" if access.sasl_mechanism == "SCRAM-SHA-512" else "sha256"
    nonce = base64.b64encode(os.urandom(18)).decode()
    name = access.username.replace("=", "=3D").replace(",", "=2C")
    first = f"n={name},r={nonce}"
    code, challenge = _authenticate(wire, f"n,,{first}")
    if code:
        return Answer.REFUSED if code == _REFUSED else Answer.UNCLEAR
    given = dict(part.split("=", 1) for part in challenge.split(","))
    password = access.password.get_secret_value().encode()
    salted = hashlib.pbkdf2_hmac(algorithm, password, base64.b64decode(given["s"]), int(given["i"]))
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    bare = f"c=biws,r={given['r']}"
    signature = hmac.digest(
        hashlib.new(algorithm, client_key).digest(), f"{first},{challenge},{bare}".encode(), algorithm
    )
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
    code, _ = _authenticate(wire, f"{bare},p={proof}")
    if code:
        return Answer.REFUSED if code == _REFUSED else Answer.UNCLEAR
    return Answer.LET_IN


def _authenticate(wire: socket.socket, message: str) -> tuple[int, str]:
    """Error code and the server's message."""
    body = message.encode()
    answer = _call(wire, _AUTHENTICATE, struct.pack(">i", len(body)) + body)
    code, text_length = struct.unpack_from(">hh", answer)
    start = 4 + max(0, text_length)
    (length,) = struct.unpack_from(">i", answer, start)
    return code, answer[start + 4 : start + 4 + max(0, length)].decode()


def _call(wire: socket.socket, api: tuple[int, int], body: bytes) -> bytes:
    """The body of the answer to one request."""
    client = b"samenloop"
    request = struct.pack(">hhih", *api, 1, len(client)) + client + body
    wire.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _read(wire, 4))
    if not 4 <= size <= 1 << 20:
        raise ValueError("no Kafka answer")
    return _read(wire, size)[4:]


def _read(wire: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        more = wire.recv(count - len(received))
        if not more:
            raise ConnectionError("hung up")
        received += more
    return received
