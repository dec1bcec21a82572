"""API keys: which texts can be one, and what was learnt of them a moment ago."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from portcullis import strict_json
from portcullis.caller import Caller
from portcullis.policy import Grant

if TYPE_CHECKING:
    from portcullis.secret import Secret

LIFETIME: Final = 30.0
"""Seconds for which a look-up counts: a key that is withdrawn works no longer than this."""
MAX_LOOKUPS: Final = 32
"""Look-ups under way at once: made-up keys must not become a flood of requests."""
_CAPACITY: Final = 1024
_LENGTH: Final = 85
_CHECKSUM: Final = 6
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_OWN = re.compile(r"pk_[0-9a-f]{32}_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", re.ASCII)
_FOREIGN = re.compile(r"[!-~]{22,256}", re.ASCII)


def is_candidate(text: str) -> bool:
    """Return whether a text may be a key, so that it is worth asking about: of one of ours the checksum is right."""
    if text.startswith("pk_") and len(text) == _LENGTH:
        return _OWN.fullmatch(text) is not None and text.endswith(_checksum(text[:-_CHECKSUM]))
    return _FOREIGN.fullmatch(text) is not None


def _checksum(text: str) -> str:
    left, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM):
        left, digit = divmod(left, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits


def read_holder(body: bytes) -> tuple[Caller | None, float | None]:
    """Return who holds a key and when it ends, in Unix seconds. Raise `ValueError` for a response that is none.

    A scope that cannot be read would narrow the key to something unknown: the whole response is refused.
    """
    members = strict_json.parse_object(body)
    if members.get("active") is not True:
        return None, None
    user_id, ends = members.get("user_id"), members.get("expires_at")
    if not isinstance(user_id, str) or not user_id:
        raise ValueError("a key of nobody")
    scopes = tuple(Grant.parse(scope) for scope in _texts(members, "scopes"))
    caller = Caller(user_id=user_id, roles=_texts(members, "roles"), method="api_key", scopes=scopes)
    return caller, None if ends is None else datetime.fromisoformat(str(ends).replace("Z", "+00:00")).timestamp()


def _texts(members: dict[str, Any], name: str) -> tuple[str, ...]:
    value = members.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(name)
    return tuple(value)


@dataclass(frozen=True)
class Known:
    """What is known of a key: its holder, or `None` for one that is not good."""

    caller: Caller | None
    looked_up_at: float
    """Unix seconds."""
    until: float
    """On the clock of ages."""


class KnownKeys:
    """The last look-ups, by the digest of the key."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._lock = Lock()

    def find(self, key: Secret, now: float) -> Known | None:
        """Return what is known of a key, unless that was too long ago."""
        known = self._known.get(_digest(key))
        return known if known is not None and now < known.until else None

    def keep(self, key: Secret, known: Known) -> None:
        """Remember a look-up."""
        digest = _digest(key)
        with self._lock:
            self._known[digest] = known
            self._known.move_to_end(digest)
            while len(self._known) > _CAPACITY:
                self._known.popitem(last=False)


def _digest(key: Secret) -> bytes:
    return hashlib.sha256(key.open().encode()).digest()
