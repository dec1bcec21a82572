"""Routes that know their caller: for Starlette, and as dependencies for FastAPI.

One object decides for HTTP and WebSockets alike. A WebSocket is decided on before it is accepted; what is refused is closed
with 4401 (sign in again), 4403 (not allowed) or 1013 (later).
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from urllib.parse import parse_qsl

from portcullis.caller import AccessToken, Caller, Credential, credential_of
from portcullis.claims import ASSURANCE
from portcullis.edge import EdgeProof
from portcullis.errors import (
    AccountDisabled,
    AmbiguousCredentials,
    CredentialsMissing,
    Frozen,
    PermissionRefused,
    ReauthorisationNeeded,
    Refused,
    Rejection,
    TokenRejected,
    Unavailable,
)
from portcullis.policy import Decision, Permission, Policy
from portcullis.secret import Secret
from portcullis.tokens import MAX_TOKEN_BYTES
from portcullis.verifier import CONNECTION_SECONDS
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from portcullis.verifier import AsyncVerifier
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.websockets import WebSocket

T = TypeVar("T")

SUBPROTOCOL: Final = "portcullis"
"""What a client that sends its token as a subprotocol offers beside it, and what is chosen: the token is never echoed."""
TOKEN_SUBPROTOCOL: Final = "portcullis.bearer."  # noqa: S105
SIGN_IN_AGAIN: Final = 4401
NOT_ALLOWED: Final = 4403
TRY_AGAIN_LATER: Final = 1013
_LONGEST_MESSAGE: Final = MAX_TOKEN_BYTES + 256

_OF_OWNERS = (Frozen, ReauthorisationNeeded, AccountDisabled)
_WHY = {
    Decision.NOT_GRANTED_BY_ROLES: "the roles of the account do not permit this",
    Decision.OUTSIDE_SCOPES: "the scopes of the API key do not permit this",
    Decision.NEVER_WITH_API_KEY: "this cannot be done with an API key",
}


class Problem(HTTPException):
    """A refusal as a response. Without `Portcullis.install` the framework shows its `detail` alone."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str]) -> None:
        super().__init__(status, detail, headers)
        self.code = code

    def response(self) -> JSONResponse:
        """Return the response, with a body after RFC 9457."""
        body = {
            "type": f"urn:portcullis:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status_code,
            "detail": self.detail,
            "code": self.code,
        }
        return JSONResponse(body, self.status_code, self.headers, "application/problem+json")


class Portcullis:
    """Knows the callers of a service: by a verifier, or behind the edge by its proof.

    `realm` stands in challenges. With `query_token` a WebSocket may bring its token as `?token=`, as it does at the edge;
    access logs of this service then show it. With `tell_browsers` a WebSocket that is refused is accepted first and then
    closed: scripts learn the code of a close, and of a refused handshake they learn nothing. Behind the edge, `watch` is a
    verifier that follows revocations, so that WebSockets end with their sessions.
    """

    def __init__(
        self,
        identity: AsyncVerifier | EdgeProof,
        *,
        policy: Policy | None = None,
        watch: AsyncVerifier | None = None,
        realm: str = "portcullis",
        query_token: bool = False,
        tell_browsers: bool = False,
    ) -> None:
        if not realm.isascii() or not realm.isprintable() or set(realm) & set('"\\'):
            raise ValueError("a realm is plain text without quotation marks")
        self._identity = identity
        self._watch = watch if isinstance(identity, EdgeProof) else identity
        self._policy = policy or Policy()
        self._realm = realm
        self._query_token = query_token
        self._tell_browsers = tell_browsers

    async def current_user(self, connection: HTTPConnection) -> Caller:
        """Return who calls. Raise what makes the framework refuse the request or the WebSocket."""
        return await self._decided(connection, None)

    def require_permission(self, permission: str) -> Callable[[HTTPConnection], Awaitable[Caller]]:
        """Return a dependency: the caller, if roles and scopes permit this (`resource:action`)."""
        wanted = Permission.parse(permission)
        return self._dependency(lambda caller: self._permit(caller, wanted))

    def require_role(self, *roles: str) -> Callable[[HTTPConnection], Awaitable[Caller]]:
        """Return a dependency: the caller, if it is a person with one of these roles. A program has scopes, no roles."""
        unknown = [role for role in roles if not self._policy.knows(role)]
        if unknown or not roles:
            raise ValueError(f"roles that the policy does not know: {unknown}")

        def check(caller: Caller) -> None:
            if caller.method == "api_key":
                raise PermissionRefused(_WHY[Decision.NEVER_WITH_API_KEY])
            if not set(roles) & set(caller.roles):
                raise PermissionRefused(_WHY[Decision.NOT_GRANTED_BY_ROLES])

        return self._dependency(check)

    def require_sign_in(
        self, *, acr: str | None = None, max_age: int | None = None
    ) -> Callable[[HTTPConnection], Awaitable[Caller]]:
        """Return a dependency: the caller, if they proved who they are as surely as `acr`, `max_age` seconds ago at most.

        Anybody else is told what is wanted (RFC 9470); behind an API key nobody signed in. Behind the edge, its route table
        asks for the same.
        """
        if (acr is None and max_age is None) or (acr is not None and acr not in ASSURANCE):
            raise ValueError(f"`acr` is one of {ASSURANCE}, `max_age` a number of seconds")
        verifier = self._identity
        if isinstance(verifier, EdgeProof):
            raise ValueError("behind the edge the route table asks for `acr` and `max_age`")  # noqa: TRY004
        return self._dependency(lambda caller: verifier.check_sign_in(caller, acr, max_age))

    def check(self, caller: Caller, permission: Permission | str) -> None:
        """Refuse the request unless the caller may do this: for what a route finds out on its way."""
        wanted = Permission.parse(permission) if isinstance(permission, str) else permission
        try:
            self._permit(caller, wanted)
        except PermissionRefused as error:
            raise self._problem(error) from None

    def _permit(self, caller: Caller, wanted: Permission) -> None:
        decision = self._policy.decide(caller, wanted)
        if decision is not Decision.GRANTED:
            raise PermissionRefused(_WHY[decision], str(wanted))

    def install(self, app: Starlette) -> None:
        """Let refusals have bodies after RFC 9457.

        Also those that a route raises itself: `Refused`, `Unavailable`, and what only an owner can change about a trading
        account (`Frozen`, `ReauthorisationNeeded`, `AccountDisabled`).
        """

        async def show(_: Request, error: Exception) -> JSONResponse:
            return (error if isinstance(error, Problem) else self._problem(error)).response()

        for kind in (Problem, Refused, Unavailable, *_OF_OWNERS):
            app.add_exception_handler(kind, show)

    async def accept(self, websocket: WebSocket, subprotocol: str | None = None) -> None:
        """Accept a WebSocket, with the subprotocol that its client waits for."""
        offered = websocket.scope.get("subprotocols", [])
        chosen = subprotocol if subprotocol in offered else None
        await websocket.accept(subprotocol=chosen or (SUBPROTOCOL if SUBPROTOCOL in offered else None))

    async def first_message(
        self, websocket: WebSocket, permission: str | None = None, *, within: float = 5.0
    ) -> Caller:
        """Accept a WebSocket and return who calls by its first message, `{"access_token": "…"}`.

        For clients that can send nothing with the handshake. Nothing may be sent to the client before this returns.
        """
        await self.accept(websocket)
        try:
            message = await asyncio.wait_for(websocket.receive(), within)
            caller = await self._authenticate(AccessToken(_token_of(message)))
            if permission is not None:
                self._permit(caller, Permission.parse(permission))
        except asyncio.TimeoutError:
            self._close(CredentialsMissing("no access token came in time"))
        except (Refused, Unavailable) as error:
            self._close(error)
        return caller

    async def while_good(
        self, caller: Caller, work: Coroutine[Any, Any, T], *, at_most: float = CONNECTION_SECONDS
    ) -> T | None:
        """Return what the work of a WebSocket comes to, or `None` if the client left.

        The work is ended when the caller's token expires or its session has ended. Where there is no token to watch (an
        API key, or behind the edge) it ends after `at_most` seconds, so that the client shows its credential again.
        """
        worker = asyncio.ensure_future(work)
        watcher = asyncio.ensure_future(self._ended(caller, at_most))
        try:
            await asyncio.wait([worker, watcher], return_when=asyncio.FIRST_COMPLETED)
            if worker.done():
                return worker.result()
            self._close(watcher.result())
        except WebSocketDisconnect:
            return None
        finally:
            for task in (worker, watcher):
                task.add_done_callback(_noted)
                task.cancel()
            # Not `gather`: its `CancelledError` is another one than that of whoever cancels this.
            await asyncio.wait([worker, watcher])

    async def _ended(self, caller: Caller, at_most: float) -> Refused | Unavailable:
        if self._watch is not None:
            return await self._watch.wait_until_ended(caller, at_most=at_most)
        await asyncio.sleep(at_most)
        return CredentialsMissing("show the credential again")

    def _dependency(self, check: Callable[[Caller], None]) -> Callable[[HTTPConnection], Awaitable[Caller]]:
        async def dependency(connection: HTTPConnection) -> Caller:
            return await self._decided(connection, check)

        return dependency

    async def _decided(self, connection: HTTPConnection, check: Callable[[Caller], None] | None) -> Caller:
        try:
            caller = await self._caller(connection)
            if check is not None:
                check(caller)
        except (Refused, Unavailable) as error:
            if connection.scope["type"] == "websocket":
                await self._refuse(connection, error)  # type: ignore[arg-type]
            raise self._problem(error) from None
        return caller

    async def _caller(self, connection: HTTPConnection) -> Caller:
        """Return who calls; decided once for a request, whose proof may work only once."""
        decided: dict[int, Caller] = connection.scope.setdefault("portcullis", {})
        if id(self) not in decided:
            decided[id(self)] = await self._decide(connection)
        return decided[id(self)]

    async def _decide(self, connection: HTTPConnection) -> Caller:
        scope = connection.scope
        if not isinstance(self._identity, EdgeProof):
            return await self._authenticate(self._credential(connection))
        target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        if scope["query_string"]:
            target += "?" + scope["query_string"].decode("latin-1")
        request = (scope.get("method", "GET"), target, scope["headers"])
        if self._identity.may_wait:
            return await asyncio.to_thread(self._identity.verify, *request)
        return self._identity.verify(*request)

    async def _authenticate(self, credential: Credential) -> Caller:
        if isinstance(self._identity, EdgeProof):
            raise CredentialsMissing("behind the edge the handshake says who calls")
        return await self._identity.authenticate(credential)

    def _credential(self, connection: HTTPConnection) -> Credential:
        headers = connection.scope["headers"]
        if connection.scope["type"] != "websocket":
            return credential_of(headers)
        tokens = _subprotocol_tokens(connection)
        if self._query_token:
            tokens += _query_tokens(connection)
        try:
            credential = credential_of(headers)
        except CredentialsMissing:
            if not tokens:
                raise
            credential = AccessToken(Secret(tokens.pop()))
        if tokens:
            raise AmbiguousCredentials("send one credential, not several")
        return credential

    async def _refuse(self, websocket: WebSocket, error: Refused | Unavailable) -> NoReturn:
        if self._tell_browsers:
            await self.accept(websocket)
        self._close(error)

    def _close(self, error: Refused | Unavailable) -> NoReturn:
        if isinstance(error, Unavailable):
            raise WebSocketException(TRY_AGAIN_LATER, str(error)) from None
        raise WebSocketException(NOT_ALLOWED if error.status == 403 else SIGN_IN_AGAIN, error.description) from None

    def _problem(self, error: Exception) -> Problem:
        if isinstance(error, Refused):
            challenge = error.challenge(self._realm)
            headers = {"WWW-Authenticate": challenge} if challenge else {}
            return Problem(error.status, error.code, error.description, {"Cache-Control": "no-store"} | headers)
        if isinstance(error, _OF_OWNERS):
            return Problem(error.status, error.code, error.detail, {"Cache-Control": "no-store"})
        retry_after = math.ceil(error.retry_after) if isinstance(error, Unavailable) else 1
        headers = {"Retry-After": str(max(1, retry_after)), "Cache-Control": "no-store"}
        return Problem(503, "unavailable", "This cannot be decided at the moment; try again shortly.", headers)


def _noted(task: asyncio.Future[Any]) -> None:
    """Look at how a task ended, so that nobody is told that it was not looked at."""
    if not task.cancelled():
        task.exception()


def _subprotocol_tokens(connection: HTTPConnection) -> list[str]:
    offered = connection.scope.get("subprotocols", [])
    return [name.removeprefix(TOKEN_SUBPROTOCOL) for name in offered if name.startswith(TOKEN_SUBPROTOCOL)]


def _query_tokens(connection: HTTPConnection) -> list[str]:
    pairs = parse_qsl(connection.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return [value for name, value in pairs if name.lower() == "token"]


def _token_of(message: Any) -> Secret:
    """Return the token of a first message. Raise `TokenRejected` for any other message."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code") or 1005)
    text = message.get("text")
    if not isinstance(text, str) or len(text) > _LONGEST_MESSAGE:
        raise TokenRejected(Rejection.MALFORMED)
    try:
        token = json.loads(text)["access_token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TokenRejected(Rejection.MALFORMED) from None
    if not isinstance(token, str):
        raise TokenRejected(Rejection.MALFORMED)
    return Secret(token)
