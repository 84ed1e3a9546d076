"""How the server is reached: TLS with or without a client certificate, and tokens by SMART Backend Services.

A signed assertion (private-key JWT, RS384 or ES384, valid for minutes and once) buys a short-lived access token.
"""

from __future__ import annotations

import logging
import ssl
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from samenloop_connectors.ggd.config import GgdConfig
from samenloop_connectors.sdk.errors import ConfigurationError, TransientError

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 240
"""The profile allows five minutes."""
_EARLY = 30.0

Signer = EllipticCurvePrivateKey | RSAPrivateKey
Ask = Callable[[str, str, Mapping[str, str]], httpx.Response]
"""(method, address, form fields) -> answer, with patience and without a token."""


def open_http(config: GgdConfig) -> httpx.Client:
    """A client that follows no redirect, takes no proxy from the environment and shows the client certificate, if there is
    one. Raises ConfigurationError.

    Its own log line per request is silenced: it holds whole addresses, and a signed address of a file is a secret.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)
    context = _tls(config) if urlsplit(str(config.base_url)).scheme == "https" else True
    return httpx.Client(timeout=config.timeout_seconds, follow_redirects=False, trust_env=False, verify=context)


def _tls(config: GgdConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.client_certificate:
            context.load_cert_chain(config.client_certificate, config.client_key)
    except (OSError, ssl.SSLError) as error:
        why = (
            error.strerror
            if isinstance(error, OSError) and error.strerror
            else "no valid PEM, or key and certificate differ"
        )
        raise ConfigurationError(f"client_certificate, client_key or ca_file cannot be used: {why}") from None
    return context


def signing_key(config: GgdConfig) -> Signer:
    """The private key. Raises ConfigurationError when it is none, or does not fit the algorithm."""
    try:
        key = load_pem_private_key(config.private_key.get_secret_value().encode(), None)
    except (ValueError, TypeError):
        raise ConfigurationError("private_key: must be an unencrypted PEM private key") from None
    if config.algorithm == "ES384" and isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP384R1):
        return key
    if config.algorithm == "RS384" and isinstance(key, RSAPrivateKey) and key.key_size >= 2048:
        return key
    raise ConfigurationError(
        "private_key: does not fit the algorithm (ES384: curve P-384; RS384: RSA of at least 2048 bits)"
    )


class Addresses:
    """Which addresses may be asked at all: those under the FHIR base, and under what the configuration adds to it."""

    def __init__(self, config: GgdConfig) -> None:
        self.base = str(config.base_url).rstrip("/")
        self._roots = [self.base, *(str(url).rstrip("/") for url in config.also_allowed)]

    def checked(self, address: Any) -> str:
        """The address, made absolute. Raises ConfigurationError for one that leads elsewhere."""
        try:
            absolute = urljoin(self.base + "/", address) if isinstance(address, str) and address else ""
        except ValueError:
            absolute = ""
        if not absolute.isascii() or not absolute.isprintable() or any(sign in absolute for sign in "\\#@ "):
            absolute = ""
        if not any(_is_under(absolute, root) for root in self._roots):
            host = urlsplit(absolute).hostname if absolute else None
            where = f"an address at {host}" if host else "something that is no address,"
            raise ConfigurationError(
                f"the server sends us to {where} that is not under base_url: if it is right, add it to also_allowed"
            )
        return absolute


def _is_under(address: str, root: str) -> bool:
    """Same origin, and a path below it that does not climb, however it is written."""
    try:
        found, wanted = httpx.URL(address), httpx.URL(root)
    except httpx.InvalidURL:
        return False
    if (found.scheme, found.host, found.port) != (wanted.scheme, wanted.host, wanted.port):
        return False
    path = unquote(unquote(urlsplit(address).path))
    below = wanted.path.rstrip("/") + "/"
    return path.startswith(below) and not {".", ".."} & set(path.split("/")) and "\\" not in path


class Tokens:
    """The access token of the moment. `ask` sends a request with patience."""

    def __init__(self, config: GgdConfig, addresses: Addresses, ask: Ask) -> None:
        self._config = config
        self._addresses = addresses
        self._ask = ask
        self._key = signing_key(config)
        self._url = str(config.token_url) if config.token_url else ""
        self._token = ""
        self._until = 0.0

    def bearer(self, fresh: bool = False) -> dict[str, str]:
        """The header that opens the server; `fresh` when it refused the last one."""
        if fresh or not self._token or time.monotonic() >= self._until:
            self.log_in()
        return {"Authorization": f"Bearer {self._token}"}

    def log_in(self) -> None:
        """Get a token. Raises ConfigurationError when the server refuses us or grants less than asked, and TransientError."""
        self._url = self._url or self._discovered()
        form = {
            "grant_type": "client_credentials",
            "scope": self._config.scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(self._url),
        }
        answer = self._ask("POST", self._url, form)
        if answer.status_code in (400, 401, 403):
            raise ConfigurationError(
                f"the token endpoint refuses us (HTTP {answer.status_code}{_oauth_error(answer)}): check client_id, key_id, "
                "private_key, scope and the clock of this machine, and that the public key is registered"
            )
        body = _json(answer)
        token = body.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise ConfigurationError(f"the token endpoint gives no token (HTTP {answer.status_code})")
        self._check_scope(body.get("scope"))
        lasts = body.get("expires_in")
        seconds = float(lasts) if isinstance(lasts, (int, float)) and lasts > 0 else 300.0
        self._token = token
        self._until = time.monotonic() + max(seconds / 2, seconds - _EARLY)

    def _assertion(self, audience: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self._config.client_id,
            "sub": self._config.client_id,
            "aud": audience,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
        }
        return jwt.encode(claims, self._key, self._config.algorithm, {"kid": self._config.key_id, "typ": "JWT"})

    def _discovered(self) -> str:
        answer = self._ask("GET", f"{self._addresses.base}/.well-known/smart-configuration", {})
        found = _json(answer).get("token_endpoint") if answer.is_success else None
        if not isinstance(found, str):
            raise ConfigurationError(
                "the server tells no token_endpoint in .well-known/smart-configuration: set token_url"
            )
        return self._addresses.checked(found)

    def _check_scope(self, granted: Any) -> None:
        if not isinstance(granted, str):
            return
        names = {scope.partition("/")[2].partition(".")[0] for scope in granted.split() if scope.startswith("system/")}
        missing = [kind for kind in self._config.types if not names & {kind, "*"}]
        if missing:
            raise ConfigurationError(
                f"the server grants no right to read {', '.join(missing)}: check scope and our registration"
            )


def _oauth_error(answer: httpx.Response) -> str:
    """The error code of RFC 6749, when it is one; never the free text beside it."""
    try:
        code = answer.json().get("error")
    except (ValueError, AttributeError):
        return ""
    known = (
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    )
    return f", {code}" if code in known else ""


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json() if answer.is_success else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise TransientError(f"the server gives no usable answer (HTTP {answer.status_code})")
    return body
