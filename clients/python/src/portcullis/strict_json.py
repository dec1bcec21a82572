"""JSON that means one thing: UTF-8, no name twice at any depth, no `NaN` (RFC 8725 section 2.5, RFC 7515 section 4)."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def parse(data: bytes) -> Any:
    """Return what the bytes say. Raise `ValueError` where two readers could disagree about it."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the object that the bytes are. Raise `ValueError` for anything else."""
    value = parse(data)
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name twice")
    return members


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)
