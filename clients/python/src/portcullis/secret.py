"""A secret that prints as nothing: it leaves only where somebody opens it."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A text that no log, traceback, `repr`, f-string, pickle or JSON encoder shows.

    >>> Secret("kitesecret")
    Secret(…)
    """

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def open(self) -> str:
        """Return the text. Call it where the secret is used, and keep the result nowhere."""
        return self.__text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode(), other.open().encode())

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written down")


def secret(value: Secret | str) -> Secret:
    """Return the value as a secret."""
    return value if isinstance(value, Secret) else Secret(value)
