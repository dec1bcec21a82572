"""The dependencies of FastAPI: those of `portcullis.starlette`, with their credentials in the OpenAPI document."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from fastapi.openapi.models import APIKey as ApiKeyScheme
from fastapi.openapi.models import HTTPBearer as BearerScheme
from fastapi.security.base import SecurityBase
from portcullis import starlette
from portcullis.caller import Caller
from portcullis.starlette import NOT_ALLOWED, SIGN_IN_AGAIN, TRY_AGAIN_LATER, Problem
from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["NOT_ALLOWED", "SIGN_IN_AGAIN", "TRY_AGAIN_LATER", "Caller", "Portcullis", "Problem"]


class _Described(SecurityBase):
    """A credential in the document. It reads nothing: what a request brings is read in one place for all."""

    def __init__(self, model: BearerScheme | ApiKeyScheme, scheme_name: str) -> None:
        self.model = model
        self.scheme_name = scheme_name

    async def __call__(self, connection: HTTPConnection) -> None:
        """Leave the request alone."""


_TOKEN = _Described(BearerScheme(bearerFormat="JWT"), "access_token")
_KEY = _Described(ApiKeyScheme.model_validate({"in": "header", "name": "X-API-Key"}), "api_key")


class Portcullis(starlette.Portcullis):
    """`portcullis.starlette.Portcullis` for FastAPI: `Depends(portcullis.current_user)` in routes and WebSockets."""

    async def current_user(
        self,
        connection: HTTPConnection,
        _token: Annotated[None, Depends(_TOKEN)] = None,
        _key: Annotated[None, Depends(_KEY)] = None,
    ) -> Caller:
        """Return who calls. Raise what makes the framework refuse the request or the WebSocket."""
        return await super().current_user(connection)

    def _dependency(self, check: "Callable[[Caller], None]") -> "Callable[[HTTPConnection], Awaitable[Caller]]":
        async def dependency(
            connection: HTTPConnection,
            _token: Annotated[None, Depends(_TOKEN)] = None,
            _key: Annotated[None, Depends(_KEY)] = None,
        ) -> Caller:
            return await self._decided(connection, check)

        return dependency
