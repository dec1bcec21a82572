"""A token between arriving and being believed: its form, and which key its signature is checked with."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Final

from portcullis import strict_json
from portcullis.errors import Rejection, TokenRejected

MAX_TOKEN_BYTES: Final = 8192
TYPE: Final = "at+jwt"
"""The type of access tokens (RFC 9068 section 2.1)."""
ALGORITHMS: Final = {"RS256": range(256, 1025), "ES256": range(64, 65), "EdDSA": range(64, 65)}
"""The signature algorithms, all of them asymmetric, and how many bytes a signature has (RFC 8725 section 3.1)."""

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_EXTENSIONS = frozenset({"crit", "zip", "enc", "b64"})


@dataclass(frozen=True, repr=False)
class UnverifiedToken:
    """A well-formed token that shows what is needed to check its signature, and no claim."""

    algorithm: str
    kid: str
    signing_input: bytes
    signature: bytes
    _payload: bytes

    @classmethod
    def parse(cls, token: str, algorithms: frozenset[str], kind: str = TYPE) -> UnverifiedToken:
        """Read the compact form (RFC 7515 section 7.1) of a token of this type. Raise `TokenRejected` for anything else."""
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenRejected(Rejection.TOO_LARGE)
        parts = token.split(".")
        if len(parts) != 3 or "" in parts:
            raise TokenRejected(Rejection.MALFORMED)
        head, payload, signature = (_decode(part) for part in parts)
        algorithm, kid = _header(_object(head), algorithms, kind)
        if len(signature) not in ALGORITHMS[algorithm]:
            raise TokenRejected(Rejection.MALFORMED)
        return cls(algorithm, kid, token.rpartition(".")[0].encode("ascii"), signature, payload)

    def payload(self) -> dict[str, Any]:
        """Return the claims as they are written. Call it when the signature was found to be valid."""
        return _object(self._payload)


def _object(data: bytes) -> dict[str, Any]:
    try:
        return strict_json.parse_object(data)
    except ValueError:
        raise TokenRejected(Rejection.MALFORMED) from None


def decode_base64url(text: str) -> bytes:
    """Return the bytes of the one spelling they have: unpadded, unused bits zero. Raise `ValueError` for another."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).rstrip(b"=") != text.encode():
        raise ValueError("not canonical")
    return data


def _decode(part: str) -> bytes:
    try:
        return decode_base64url(part)
    except (ValueError, binascii.Error):
        raise TokenRejected(Rejection.MALFORMED) from None


def is_thumbprint(kid: object) -> bool:
    """Return whether this is a SHA-256 thumbprint (RFC 7638): anything else may be a path to whoever looks it up."""
    return isinstance(kid, str) and _THUMBPRINT.fullmatch(kid) is not None


def _header(header: dict[str, Any], algorithms: frozenset[str], kind: str) -> tuple[str, str]:
    """Read three members. `jwk`, `jku`, `x5u` and `x5c` are ignored: no token brings its own key (RFC 8725, 3.10)."""
    if not _EXTENSIONS.isdisjoint(header):
        raise TokenRejected(Rejection.MALFORMED)
    typ = header.get("typ")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") != kind:
        raise TokenRejected(Rejection.WRONG_TYPE)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRejected(Rejection.ALGORITHM)
    if not isinstance(kid, str) or not is_thumbprint(kid):
        raise TokenRejected(Rejection.MALFORMED)
    return algorithm, kid
