"""The edge's proof of origin: who sends a request that came through it, as `edge/README.md` describes it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
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
LEAST_KEY_BYTES: Final = 32
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

_PROOF = re.compile(r"v1;t=(0|[1-9][0-9]{0,18});([0-9a-f]{64})", re.ASCII)


class Seen(Protocol):
    """Remembers proofs that were used. Give one over a shared store where a service has several processes."""

    def is_first(self, proof: str, seconds: int) -> bool:
        """Return whether the proof was not shown before, and remember it for so many seconds. One write, or it races."""


class SeenHere:
    """Remembers proofs in this process. When it is full, nothing is forgotten early: requests wait instead."""

    def __init__(self, capacity: int = 100_000, clock: Clock | None = None) -> None:
        self._capacity = capacity
        self._clock = clock or SystemClock()
        self._seen: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def is_first(self, proof: str, seconds: int) -> bool:
        """Return whether the proof was not shown before. Raise `Unavailable` if that could not be remembered."""
        with self._lock:
            now = self._clock.elapsed()
            while self._seen and next(iter(self._seen.values())) <= now:
                self._seen.popitem(last=False)
            if proof in self._seen:
                return False
            if len(self._seen) >= self._capacity:
                raise Unavailable("too many requests to remember their proofs")
            self._seen[proof] = now + seconds
            return True


class EdgeProof:
    """Checks the proof of requests to one service of the edge's route table.

    `keys` is `EDGE_PROOF_KEY`; while it is being replaced, the old and the new one. With `seen` a proof works once:
    without it whoever sees a request can send it again for half a minute, with another body. A client that chooses its own
    `X-Request-Id` must then choose another one for each request.
    """

    def __init__(
        self,
        keys: Secret | str | Iterable[Secret | str],
        service: str,
        *,
        seen: Seen | None = None,
        clock: Clock | None = None,
    ) -> None:
        several = [keys] if isinstance(keys, (str, Secret)) else list(keys)
        self._keys = [decode_base64url(secret(key).open().rstrip("=")) for key in several]
        if not self._keys or any(len(key) < LEAST_KEY_BYTES for key in self._keys):
            raise ValueError(f"EDGE_PROOF_KEY is base64url of {LEAST_KEY_BYTES} bytes or more")
        self._service = service
        self._seen = seen
        self._clock = clock or SystemClock()

    def verify(self, method: str, target: str, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Return who the edge says is calling. `target` is path and query as they came, not decoded.

        Raise `NotThroughTheEdge` without a valid proof, and `CredentialsMissing` on a route that the edge leaves public.
        """
        values = _single(headers)
        found = _PROOF.fullmatch(values["x-edge-proof"])
        if found is None or abs(self._clock.now() - int(found[1])) > MAX_AGE:
            raise NotThroughTheEdge("this request did not come through the edge")
        lines = ["portcullis-edge-v1", found[1], self._service, method, target, *(values[name] for name in SIGNED)]
        if any("\n" in line for line in lines) or not self._is_signed("\n".join(lines), found[2]):
            raise NotThroughTheEdge("this request did not come through the edge")
        if self._seen is not None and not self._seen.is_first(values["x-edge-proof"], 2 * MAX_AGE + 1):
            raise NotThroughTheEdge("this request was sent before")
        return _caller(values)

    def _is_signed(self, text: str, mac: str) -> bool:
        """Compare in constant time, with each key whatever the others say."""
        data, given = text.encode("latin-1"), bytes.fromhex(mac)
        return any([hmac.compare_digest(hmac.new(key, data, hashlib.sha256).digest(), given) for key in self._keys])  # noqa: C419


def _single(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return each header of interest, empty where it is absent. One that came twice may mean either to the next reader."""
    values = dict.fromkeys((*SIGNED, "x-edge-proof"), "")
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
    )
