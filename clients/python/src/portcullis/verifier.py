"""Who sends a request: the decision about access tokens and API keys, for threads and for asyncio.

`Verifier` and `AsyncVerifier` decide alike; what they share is `_Rules`, which does no I/O.
"""

from __future__ import annotations

import asyncio
import logging
import time
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from portcullis import approvals
from portcullis.api_keys import LIFETIME, MAX_LOOKUPS, Known, KnownKeys, is_candidate, read_holder
from portcullis.approvals import ApprovalClaims
from portcullis.caller import AccessToken, Caller, Credential
from portcullis.claims import MAX_LEEWAY, Claims, Expectations
from portcullis.drivers import Tasks, Threads
from portcullis.effects import Alone, Clock, NoReply, Pause, Reply, Request, Send, SystemClock
from portcullis.errors import (
    ApiKeyRejected,
    CredentialsMissing,
    InsufficientAuthentication,
    Refused,
    Rejection,
    TokenRejected,
    Unavailable,
)
from portcullis.keys import MAX_SET_BYTES, Key, Keyring, MalformedKeys, max_age
from portcullis.revocations import MAX_PAGE_BYTES, Feed, Revocations
from portcullis.secret import Secret, secret
from portcullis.tokens import ALGORITHMS, UnverifiedToken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    import httpx
    from portcullis.effects import Steps

_LOG = logging.getLogger("portcullis")

ISSUER: Final = "user_service"
AUDIENCE: Final = "trading_platform"
JWKS_PATH: Final = "/v1/auth/.well-known/jwks.json"
TIMEOUT: Final = 2.0
"""Seconds that a request to the identity service may take while somebody waits for a decision."""
CONNECTION_SECONDS: Final = 900.0
"""How long a connection lasts whose token is not known: as long as an access token by default."""
_OK: Final = 200
_MAX_PAGES: Final = 8


class _Rules:
    """The rules and what they remember. Each method is a generator of effects, or decides without any."""

    def __init__(
        self,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        jwks_url: str | None = None,
        *,
        url: str | None = None,
        algorithms: Iterable[str] = ("RS256",),
        leeway: int = MAX_LEEWAY,
        service_token: Secret | str | None = None,
        revocations: Revocations | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._algorithms = _checked(algorithms)
        self._expected = Expectations(issuer, audience, leeway)
        self._approved = Expectations(issuer, audience + approvals.AUDIENCE, leeway)
        self._url = "" if url is None else url.rstrip("/")
        self._jwks_url = jwks_url or self._url + JWKS_PATH
        if not self._jwks_url.startswith("http"):
            raise ValueError("give `jwks_url`, or the `url` of the identity service")
        if revocations is not None and (service_token is None or url is None):
            raise ValueError("the feed of revocations needs `url` and `service_token`")
        self._service_token = None if service_token is None else secret(service_token)
        self._clock = clock or SystemClock()
        self._keys = Keyring()
        self._feed = None if revocations is None else Feed(revocations)
        self._known = KnownKeys()
        self._lookups = BoundedSemaphore(MAX_LOOKUPS)

    def caller(self, credential: Credential) -> Steps[Caller]:
        """Return who a credential speaks for."""
        if isinstance(credential, AccessToken):
            return Caller.of_token((yield from self.claims(credential.text.open())))
        return (yield from self._holder(credential.text))

    def sign_in(self, caller: Caller, acr: str | None, max_age: int | None) -> None:
        """Raise unless the sign-in of the caller is as sure as `acr` and its last proof at most `max_age` seconds old."""
        if caller.claims is None or not caller.claims.proves(acr, max_age, now=self._clock.now()):
            raise InsufficientAuthentication(acr, max_age)

    def claims(self, text: str) -> Steps[Claims]:
        """Return the claims of a token that is good now."""
        asked_at = self._clock.elapsed()
        token = UnverifiedToken.parse(text, self._algorithms)
        key = yield from self._key(token, asked_at)
        if not key.verifies(token):
            raise TokenRejected(Rejection.SIGNATURE)
        claims = Claims.read(token.payload(), self._expected, self._clock.now(), token.kid)
        yield from self.still_good(claims, asked_at)
        return claims

    def approval(self, text: str) -> Steps[ApprovalClaims]:
        """Return the claims of the token of an approval that is good now."""
        token = UnverifiedToken.parse(text, self._algorithms, approvals.TYPE)
        key = yield from self._key(token, self._clock.elapsed())
        if not key.verifies(token):
            raise TokenRejected(Rejection.SIGNATURE)
        return ApprovalClaims.read(token.payload(), self._approved, self._clock.now())

    def still_good(self, claims: Claims, asked_at: float | None = None) -> Steps[None]:
        """Raise if the token has expired or its session has ended since it was verified."""
        claims.check_times(self._expected.leeway, self._clock.now())
        if self._feed is not None:
            yield from self._follow(claims.iat, self._clock.elapsed() if asked_at is None else asked_at)
            self._feed.judge(claims, self._clock.elapsed())

    def still_open(self, caller: Caller, since: float, at_most: float) -> Steps[None]:
        """Raise if a connection must end that began at `since`, in Unix seconds.

        Of a caller whose token was not verified here (behind the edge) or who has none (an API key) it is not known when
        that ends: such a connection lasts `at_most` seconds.
        """
        if caller.claims is not None:
            return (yield from self.still_good(caller.claims))
        if self._clock.now() >= since + at_most:
            raise CredentialsMissing("show the credential again")
        if self._feed is not None:
            yield from self._follow(int(since), self._clock.elapsed())
            self._feed.judge_open(caller.session_id or "", caller.user_id, since, self._clock.elapsed())
        return None

    def now(self) -> float:
        """Return Unix seconds."""
        return self._clock.now()

    def _key(self, token: UnverifiedToken, asked_at: float) -> Steps[Key]:
        if self._keys.is_due(self._clock.elapsed()):
            yield Alone("keys", self._refresh, waits=False)
        while True:
            found = self._keys.find(token, asked_at, self._clock.elapsed())
            if isinstance(found, Key):
                return found
            yield Alone("keys", lambda: self._fetch_for(token, asked_at))

    def _refresh(self) -> Steps[None]:
        if self._keys.is_due(self._clock.elapsed()):
            yield from self._fetch_keys()

    def _fetch_for(self, token: UnverifiedToken, asked_at: float) -> Steps[None]:
        wait = self._keys.find(token, asked_at, self._clock.elapsed())
        if isinstance(wait, Key):
            return  # Somebody fetched it while this one waited for its turn.
        if wait > 0:
            yield Pause(wait)
        yield from self._fetch_keys()

    def _fetch_keys(self) -> Steps[None]:
        self._keys.fetching(self._clock.elapsed())
        reply: Reply | NoReply = yield Send(Request("GET", self._jwks_url, most_bytes=MAX_SET_BYTES))
        if isinstance(reply, NoReply) or reply.status != _OK:
            self._keys.failed()
            _LOG.warning("no keys of the issuer: %s", _why(reply))
            return
        try:
            self._keys.arrived(reply.body, max_age(reply.headers), self._clock.elapsed())
        except MalformedKeys as error:
            _LOG.warning("no keys of the issuer: %s", error)

    def _follow(self, issued_at: int, asked_at: float) -> Steps[None]:
        """Ask for pages of revocations: what has to be known first with others, what will be needed soon alone."""
        feed = self._feed
        if feed is None:
            return
        while feed.must_wait(issued_at, asked_at, self._clock.elapsed()):
            yield Alone("feed", lambda: self._fetch_page(issued_at, asked_at))
        if feed.wanted(self._clock.elapsed()) is not None:
            yield Alone("feed", self._fetch_pages, waits=False)

    def _fetch_page(self, issued_at: int, asked_at: float) -> Steps[None]:
        if self._feed is not None and self._feed.must_wait(issued_at, asked_at, self._clock.elapsed()):
            yield from self._fetch_wanted(self._feed)

    def _fetch_pages(self) -> Steps[None]:
        for _ in range(_MAX_PAGES):
            if self._feed is None or self._feed.wanted(self._clock.elapsed()) is None:
                return
            yield from self._fetch_wanted(self._feed)

    def _fetch_wanted(self, feed: Feed) -> Steps[None]:
        asked_at = self._clock.elapsed()
        ask = feed.wanted(asked_at)
        if ask is None:
            return
        request = self._as_service("GET", "/v1/internal/revocations", params=ask.params(), most_bytes=MAX_PAGE_BYTES)
        reply: Reply | NoReply = yield Send(request)
        if isinstance(reply, NoReply) or reply.status != _OK:
            feed.failed(ask, self._clock.elapsed())
            _LOG.warning("no page of revocations: %s", _why(reply))
        elif not feed.arrived(ask, reply.body, asked_at, self._clock.elapsed()):
            _LOG.warning("no page of revocations: malformed, or of another time")

    def _holder(self, key: Secret) -> Steps[Caller]:
        """Return who holds an API key, from a look-up that is at most half a minute old."""
        if not is_candidate(key.open()):
            raise ApiKeyRejected
        yield from self._follow(int(self._clock.now()), self._clock.elapsed())
        known = self._known.find(key, self._clock.elapsed())
        if known is None or self._is_outdated(known):
            known = yield from self._look_up(key)
        if known.caller is None:
            raise ApiKeyRejected
        return known.caller

    def _is_outdated(self, known: Known) -> bool:
        """Return whether something was revoked for the holder of a key since the look at it."""
        caller = known.caller
        return caller is not None and self._feed is not None and self._feed.concerns(caller.user_id, known.looked_up_at)

    def _look_up(self, key: Secret) -> Steps[Known]:
        if not self._lookups.acquire(blocking=False):
            raise Unavailable("too many API keys are being looked up")
        try:
            asked_at, elapsed = self._clock.now(), self._clock.elapsed()
            request = self._as_service("POST", "/v1/internal/api-keys/verify", json={"api_key": key.open()})
            known = _read_known((yield Send(request)), asked_at, elapsed)
        finally:
            self._lookups.release()
        self._known.keep(key, known)
        return known

    def _as_service(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: dict[str, str] | None = None,
        most_bytes: int = 16 * 1024,
    ) -> Request:
        if self._service_token is None or not self._url:
            raise Unavailable("this service has no service token to ask with")
        headers = {"X-Service-Token": self._service_token.open()}
        return Request(method, self._url + path, headers, json, params or {}, most_bytes)


def _checked(algorithms: Iterable[str]) -> frozenset[str]:
    """Return the algorithms. There is no `none` and no HMAC to confuse them with (RFC 8725 section 2.1)."""
    chosen = frozenset([algorithms] if isinstance(algorithms, str) else algorithms)
    if not chosen or not chosen <= ALGORITHMS.keys():
        raise ValueError(f"algorithms are some of {', '.join(ALGORITHMS)}")
    return chosen


def _why(reply: Reply | NoReply) -> str:
    return reply.reason if isinstance(reply, NoReply) else f"status {reply.status}"


def _read_known(reply: Reply | NoReply, asked_at: float, elapsed: float) -> Known:
    if isinstance(reply, NoReply) or reply.status != _OK:
        raise Unavailable("the API key could not be looked up")
    try:
        caller, ends_at = read_holder(reply.body)
    except ValueError:
        raise Unavailable("the response about an API key is malformed") from None
    lives = LIFETIME if ends_at is None else min(LIFETIME, ends_at - asked_at)
    return Known(caller, asked_at, elapsed + lives)


class Verifier:
    """Verifies access tokens and API keys, for any number of threads.

    Give `jwks_url`, or the `url` of the identity service, which is also needed for API keys and revocations, as is a
    `service_token`.
    """

    def __init__(
        self,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        jwks_url: str | None = None,
        *,
        url: str | None = None,
        algorithms: Iterable[str] = ("RS256",),
        leeway: int = MAX_LEEWAY,
        service_token: Secret | str | None = None,
        revocations: Revocations | None = None,
        clock: Clock | None = None,
        client: httpx.Client | None = None,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rules = _Rules(
            issuer,
            audience,
            jwks_url,
            url=url,
            algorithms=algorithms,
            leeway=leeway,
            service_token=service_token,
            revocations=revocations,
            clock=clock,
        )
        self._threads = Threads(client, timeout, sleep)

    def verify(self, token: str) -> Claims:
        """Return the claims of a token that is good now. Raise `TokenRejected`, or `Unavailable` if nobody can tell."""
        return self._threads.run(self._rules.claims(token))

    def verify_approval(self, token: str) -> ApprovalClaims:
        """Return the claims of the token of an approval. Raise `TokenRejected`, or `Unavailable` if nobody can tell.

        It says what a person approved; that it was not spent yet, `ServiceClient.redeem_approval` says.
        """
        return self._threads.run(self._rules.approval(token))

    def authenticate(self, credential: Credential) -> Caller:
        """Return who a credential speaks for. Raise `Refused`, or `Unavailable` if nobody can tell."""
        return self._threads.run(self._rules.caller(credential))

    def check_sign_in(self, caller: Caller, acr: str | None = None, max_age: int | None = None) -> None:
        """Raise `InsufficientAuthentication` unless the caller proved who they are as surely and as lately as that."""
        self._rules.sign_in(caller, acr, max_age)

    def check_again(self, claims: Claims) -> None:
        """Raise `TokenRejected` if a verified token has expired or its session has ended since."""
        self._threads.run(self._rules.still_good(claims))

    def close(self) -> None:
        """Close connections, unless the client was given."""
        self._threads.close()


class AsyncVerifier:
    """Verifies access tokens and API keys, for the tasks of one event loop. Its arguments are those of `Verifier`."""

    def __init__(
        self,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
        jwks_url: str | None = None,
        *,
        url: str | None = None,
        algorithms: Iterable[str] = ("RS256",),
        leeway: int = MAX_LEEWAY,
        service_token: Secret | str | None = None,
        revocations: Revocations | None = None,
        clock: Clock | None = None,
        client: httpx.AsyncClient | None = None,
        timeout: float = TIMEOUT,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rules = _Rules(
            issuer,
            audience,
            jwks_url,
            url=url,
            algorithms=algorithms,
            leeway=leeway,
            service_token=service_token,
            revocations=revocations,
            clock=clock,
        )
        self._tasks = Tasks(client, timeout, sleep)

    async def verify(self, token: str) -> Claims:
        """Return the claims of a token that is good now. Raise `TokenRejected`, or `Unavailable` if nobody can tell."""
        return await self._tasks.run(self._rules.claims(token))

    async def verify_approval(self, token: str) -> ApprovalClaims:
        """Return the claims of the token of an approval. Raise `TokenRejected`, or `Unavailable` if nobody can tell."""
        return await self._tasks.run(self._rules.approval(token))

    async def authenticate(self, credential: Credential) -> Caller:
        """Return who a credential speaks for. Raise `Refused`, or `Unavailable` if nobody can tell."""
        return await self._tasks.run(self._rules.caller(credential))

    def check_sign_in(self, caller: Caller, acr: str | None = None, max_age: int | None = None) -> None:
        """Raise `InsufficientAuthentication` unless the caller proved who they are as surely and as lately as that."""
        self._rules.sign_in(caller, acr, max_age)

    async def check_again(self, claims: Claims) -> None:
        """Raise `TokenRejected` if a verified token has expired or its session has ended since."""
        await self._tasks.run(self._rules.still_good(claims))

    async def wait_until_ended(
        self, caller: Caller, *, at_most: float = CONNECTION_SECONDS, every: float = 2.0
    ) -> Refused | Unavailable:
        """Return why the connection of a caller must end, once that is so: for connections that outlive a request.

        The token expired, or its session has ended. Where no token is known (an API key, or behind the edge) the connection
        lasts `at_most` seconds, so that the client shows its credential again.
        """
        since = self._rules.now()
        while True:
            await self._tasks.pause(every)
            try:
                await self._tasks.run(self._rules.still_open(caller, since, at_most))
            except (Refused, Unavailable) as ended:
                return ended

    async def close(self) -> None:
        """Close connections, unless the client was given."""
        await self._tasks.close()
