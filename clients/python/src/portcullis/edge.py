"""The edge's proof of origin: who sends a request that came through it, as `edge/README.md` describes it."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import unquote

from portcullis.caller import Caller
from portcullis.effects import Clock, SystemClock
from portcullis.errors import CredentialsMissing, NotThroughTheEdge, Unavailable
from portcullis.policy import Grant
from portcullis.secret import Secret, secret
from portcullis.tokens import decode_base64url

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_AGE: Final = 30
"""Seconds by which the time of a proof may differ from the clock of the service."""
SIGNED: Final = (
    "x-user-id",
    "x-user-email",
    "x-user-roles",
    "x-user-scopes",
    "x-session-id",
    "x-auth-method",
    "x-request-id",
    "x-client-address",
)
"""The identity headers, in the order in which the proof covers them."""
SIGNED_IF_APPROVED: Final = ("x-approval-id", "x-approval-order-tag")
"""What follows them where an approval was spent for the request."""

KEY_BYTES: Final = 32
REMEMBERED: Final = 2 * MAX_AGE + 1
"""Seconds for which a proof is remembered: from the earliest clock that takes it to the latest that still does."""

_PROOF = re.compile(r"v2;k=([a-z0-9-]{1,16});t=(0|[1-9][0-9]{0,18});n=([A-Za-z0-9-]{1,64});([0-9a-f]{64})", re.ASCII)
_KEY = re.compile(r"([a-z0-9-]{1,16}):([A-Za-z0-9_-]{43})", re.ASCII)


class Seen(Protocol):
    """Remembers proofs that were used. Give one over a shared store where a service has several processes."""

    def is_first(self, proof: str, seconds: int) -> bool:
        """Return whether the proof was not shown before, and remember it for so many seconds. One write, or it races.

        The proof is 64 hexadecimal digits. Behind `portcullis.starlette` and `portcullis.fastapi` a thread calls this.
        Whatever is raised refuses the request with 503.
        """


class SeenHere:
    """Remembers proofs in this process, and no other process sees them.

    Memory has a bound: at `capacity` proofs (about 100 bytes each) requests are refused with `Unavailable` until the oldest
    end, because a proof that was forgotten early could be sent again. Only requests that the edge signed take up room.
    """

    _BUCKET = 8
    """Seconds. Proofs that end within the same ones are forgotten together."""

    def __init__(self, capacity: int = 100_000, clock: Clock | None = None) -> None:
        self._capacity = capacity
        self._clock = clock or SystemClock()
        self._buckets: dict[int, set[bytes]] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())

    def is_first(self, proof: str, seconds: int) -> bool:
        """Return whether the proof was not shown before. Raise `Unavailable` if that could not be remembered."""
        digest = hashlib.blake2b(proof.encode(), digest_size=16).digest()
        with self._lock:
            now = self._clock.elapsed()
            for over in [number for number in self._buckets if number * self._BUCKET <= now]:
                del self._buckets[over]
            if any(digest in bucket for bucket in self._buckets.values()):
                return False
            if len(self) >= self._capacity:
                raise Unavailable("too many requests to remember their proofs")
            self._buckets.setdefault(math.ceil((now + seconds) / self._BUCKET), set()).add(digest)
            return True


class EdgeProof:
    """Checks the proof of requests to one service of the edge's route table.

    `keys` is `SERVICE_PROOF_KEYS`, as `manage-users proof-key` prints it for this service: `id:key`, several of them
    separated by commas while one takes the place of another. With `seen` a proof works once: without it whoever sees a
    request can send it again for half a minute, with another body.
    """

    def __init__(
        self,
        keys: Secret | str | Iterable[Secret | str],
        service: str,
        *,
        seen: Seen | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._keys = _keys_of([keys] if isinstance(keys, (str, Secret)) else keys)
        self._service = service
        self._seen = seen
        self._clock = clock or SystemClock()

    @property
    def may_wait(self) -> bool:
        """Whether `verify` may wait for a store that is not in this process."""
        return self._seen is not None and not isinstance(self._seen, SeenHere)

    def verify(self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Return who the edge says is calling. `target` is path and query as they came, not decoded.

        Raise `NotThroughTheEdge` without a valid proof, and `CredentialsMissing` on a route that the edge leaves public.
        """
        values = _single(headers)
        found = _PROOF.fullmatch(values["x-edge-proof"])
        if found is None or abs(self._clock.now() - int(found[2])) > MAX_AGE:
            raise NotThroughTheEdge("this request did not come through the edge")
        key, time, nonce, mac = found.groups()
        approved = [values[name] for name in SIGNED_IF_APPROVED]
        of_request = [self._service, method, target, *(values[name] for name in SIGNED)]
        of_request += approved if any(approved) else []
        lines = ["portcullis-edge-v2", key, time, nonce, *of_request]
        if any("\n" in line for line in lines) or not self._is_signed(key, "\n".join(lines), mac):
            raise NotThroughTheEdge("this request did not come through the edge")
        if self._seen is not None and not _is_first(self._seen, mac):
            raise NotThroughTheEdge("this request was sent before")
        return _caller(values)

    def _is_signed(self, key: str, text: str, mac: str) -> bool:
        """Compare in constant time, with each key of this id whatever the others say."""
        data, given = text.encode("latin-1"), bytes.fromhex(mac)
        keys = self._keys.get(key, ())
        return any([hmac.compare_digest(hmac.new(one, data, hashlib.sha256).digest(), given) for one in keys])  # noqa: C419


def _keys_of(texts: Iterable[Secret | str]) -> dict[str, list[bytes]]:
    """Return the keys by their ids. Under one id there are several while the edge's root key is replaced."""
    keys: dict[str, list[bytes]] = {}
    for text in texts:
        for part in secret(text).open().split(","):
            found = _KEY.fullmatch(part.strip())
            key = decode_base64url(found[2]) if found else b""
            if found is None or len(key) != KEY_BYTES:
                raise ValueError(
                    "SERVICE_PROOF_KEYS is what `manage-users proof-key` prints: `id:key`, separated by commas"
                )
            keys.setdefault(found[1], []).append(key)
    if not keys:
        raise ValueError("there is no key of the edge's proofs")
    return keys


def _is_first(seen: Seen, mac: str) -> bool:
    try:
        return seen.is_first(mac, REMEMBERED)
    except Unavailable:
        raise
    except Exception as error:
        raise Unavailable("it cannot be told whether this request was sent before") from error


def _single(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return each header of interest, empty where it is absent. One that came twice may mean either to the next reader."""
    values = dict.fromkeys((*SIGNED, *SIGNED_IF_APPROVED, "x-edge-proof"), "")
    seen: set[str] = set()
    for raw, value in headers:
        name = raw.decode("latin-1").lower()
        if name in values:
            if name in seen:
                raise NotThroughTheEdge("a header of the edge came twice")
            seen.add(name)
            values[name] = value.decode("latin-1")
    return values


def _caller(values: dict[str, str]) -> Caller:
    if not values["x-user-id"]:
        raise CredentialsMissing("this request needs an access token or an API key")
    is_key = values["x-auth-method"] == "api_key"
    return Caller(
        user_id=unquote(values["x-user-id"]),
        roles=tuple(unquote(role) for role in values["x-user-roles"].split(",") if role),
        method="api_key" if is_key else "access_token",
        email=unquote(values["x-user-email"]) or None,
        session_id=unquote(values["x-session-id"]) or None,
        scopes=tuple(Grant.parse(scope) for scope in values["x-user-scopes"].split(",") if scope) if is_key else None,
        request_id=values["x-request-id"] or None,
        client_address=unquote(values["x-client-address"]) or None,
        approval_id=values["x-approval-id"] or None,
        approval_order_tag=values["x-approval-order-tag"] or None,
    )
