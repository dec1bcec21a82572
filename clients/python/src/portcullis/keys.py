"""The issuer's public keys (RFC 7517), and when they are asked for again.

When three fifths of its `max-age` are over, a set is refreshed by one request while the others go on. Where it is past
its age, requests wait for a newer one; while the issuer cannot be reached it serves on for a day. A key id that is not
in it sends for it, at most every two seconds whatever the number of requests, so that a flood of forged ids costs the
issuer little and a real rotation waits briefly.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, cast

import jwt
from portcullis import strict_json
from portcullis.errors import Rejection, TokenRejected, Unavailable
from portcullis.tokens import ALGORITHMS, UnverifiedToken, decode_base64url, is_thumbprint

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SET_BYTES: Final = 64 * 1024
MAX_KEYS: Final = 16
MAX_STALENESS: Final = 24 * 3600.0
MIN_INTERVAL: Final = 2.0
"""Seconds between the beginnings of two fetches."""
RETRY_REFRESH: Final = 30.0
"""Seconds between two attempts to refresh a set that still serves, while the issuer is down."""
_ABSENCE: Final = 30.0
_ABSENT_CAPACITY: Final = 1024
_MAX_AGE: Final = (30, 3600)
_DEFAULT_MAX_AGE: Final = 300
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class MalformedKeys(ValueError):
    """The set is none, or one that must not be published. It quotes nothing of it."""


@dataclass(frozen=True)
class Key:
    """One public key, for exactly one algorithm."""

    algorithm: str
    jwk: jwt.PyJWK

    def verifies(self, token: UnverifiedToken) -> bool:
        """Return whether the token was signed with this key."""
        return bool(self.jwk.Algorithm.verify(token.signing_input, self.jwk.key, token.signature))


def parse_keys(data: bytes) -> dict[str, Key]:
    """Read a set, whole or not at all. A key of another use or algorithm is passed over (RFC 7517 section 5)."""
    if len(data) > MAX_SET_BYTES:
        raise MalformedKeys("too long")
    try:
        members = strict_json.parse_object(data).get("keys")
    except ValueError:
        raise MalformedKeys("no JWK set") from None
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise MalformedKeys("no JWK set")
    if len(members) > MAX_KEYS:
        raise MalformedKeys("too many keys")
    keys: dict[str, Key] = {}
    for member in members:
        if member.get("kty") == "oct" or not _PRIVATE.isdisjoint(member):
            raise MalformedKeys("a private key")
        if (key := _usable(member)) is not None:
            if member["kid"] in keys:
                raise MalformedKeys("an id twice")
            keys[member["kid"]] = key
    if not keys:
        raise MalformedKeys("no key that verifies tokens")
    return keys


def _usable(member: dict[str, Any]) -> Key | None:
    algorithm = member.get("alg")
    is_for_us = is_thumbprint(member.get("kid")) and member.get("use", "sig") == "sig"
    if not is_for_us or algorithm not in ALGORITHMS or not _has_form(algorithm, member):
        return None
    try:
        return Key(algorithm, jwt.PyJWK(member, algorithm))
    except jwt.PyJWTError:
        return None


def _has_form(algorithm: str, member: dict[str, Any]) -> bool:
    """Return whether the numbers are of the size the algorithm demands (RFC 7518 sections 3.3, 6.2 and 6.3)."""
    shape = (member.get("kty"), member.get("crv"))
    if algorithm == "RS256":
        size = _size(member, "n")
        return shape[0] == "RSA" and member.get("e") == "AQAB" and 256 <= size <= 1024
    if algorithm == "ES256":
        return shape == ("EC", "P-256") and _size(member, "x") == _size(member, "y") == 32
    return shape == ("OKP", "Ed25519") and _size(member, "x") == 32


def _size(member: dict[str, Any], name: str) -> int:
    try:
        return len(decode_base64url(cast("str", member.get(name))))
    except (ValueError, TypeError):
        return 0


def max_age(headers: Mapping[str, str]) -> int:
    """Return for how many seconds a response may be kept, within bounds."""
    found = re.search(r"(?:^|[\s,])max-age=(\d{1,9})", headers.get("cache-control", ""))
    least, most = _MAX_AGE
    return min(max(int(found[1]) if found else _DEFAULT_MAX_AGE, least), most)


class Keyring:
    """The set and its history. It does no I/O and knows no clock: whoever calls it hands the time down."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._confirmed_at = float("-inf")
        self._refresh_from = float("-inf")
        self._fresh_until = float("-inf")
        self._obtained_from = float("-inf")
        self._last_attempt = float("-inf")
        self._has_failed = False
        self._absent: OrderedDict[str, float] = OrderedDict()
        self._absent_lock = Lock()

    def find(self, token: UnverifiedToken, asked_at: float, now: float) -> Key | float:
        """Return the key, or in how many seconds to fetch the set for a request that came at `asked_at`."""
        is_usable = now - self._confirmed_at <= MAX_STALENESS
        if not self._has_failed and self._fresh_until <= now and self._keys:
            return self._wait(now)
        if is_usable and (key := self._keys.get(token.kid)) is not None:
            if key.algorithm != token.algorithm:
                raise TokenRejected(Rejection.ALGORITHM)
            return key
        if now - self._absent.get(token.kid, float("-inf")) < _ABSENCE:
            raise TokenRejected(Rejection.UNKNOWN_KEY)
        # Only a set that was asked for after the request came proves that its key does not exist: an older response may
        # have been under way when the key was published.
        if is_usable and self._obtained_from >= asked_at:
            self._remember_absent(token.kid, now)
            raise TokenRejected(Rejection.UNKNOWN_KEY)
        wait = self._wait(now)
        if self._has_failed and wait > 0:
            raise Unavailable("the issuer's keys cannot be had", wait)
        return wait

    def is_due(self, now: float) -> bool:
        """Return whether there is a set that should be refreshed, though nobody has to wait for it yet."""
        pause = RETRY_REFRESH if self._has_failed else MIN_INTERVAL
        return bool(self._keys) and now >= self._refresh_from and now - self._last_attempt >= pause

    def _wait(self, now: float) -> float:
        return max(0.0, self._last_attempt + MIN_INTERVAL - now)

    def fetching(self, now: float) -> None:
        """Take note that a fetch begins."""
        self._last_attempt = now

    def arrived(self, data: bytes, seconds: int, now: float) -> None:
        """Take in what the fetch brought. Raise `MalformedKeys` for what is no set; the old one then stays in place."""
        try:
            self._keys = parse_keys(data)
        except MalformedKeys:
            self._has_failed = True
            raise
        self._confirmed_at, self._refresh_from, self._fresh_until = now, now + 0.6 * seconds, now + seconds
        self._obtained_from, self._has_failed = self._last_attempt, False

    def failed(self) -> None:
        """Take note that the fetch brought nothing."""
        self._has_failed = True

    def _remember_absent(self, kid: str, now: float) -> None:
        with self._absent_lock:
            self._absent[kid] = now
            self._absent.move_to_end(kid)
            while len(self._absent) > _ABSENT_CAPACITY:
                self._absent.popitem(last=False)
