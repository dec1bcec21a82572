"""What has been revoked before its time: the pages of the feed, and what they cover together.

A page tells of everything that was revoked in one span of time. The span that ends now is asked for every few seconds and
reaches back some seconds; spans that are over are asked for once more when nothing can be added to them. What ends a token
was revoked after its issue, so a reader that knows the last minutes decides fully on the tokens of these minutes.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from portcullis.errors import FeedBehind, SessionRevoked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portcullis.claims import Claims

SLACK: Final = 60_000
"""Milliseconds by which the clocks of two writers may differ, with the longest that a write may take."""
SLOT: Final = 8_192
BLOCK: Final = 8 * SLOT
"""A span of the past begins at a multiple of this, in milliseconds, and is so long."""
MAX_PAGE_BYTES: Final = 6 << 20
MAX_BYTES: Final = 40 << 20
"""Bytes of pages that are kept: beyond them the oldest go, and only tokens that are older are undecided."""
RETRY_INTERVAL: Final = 1.0
PATIENCE: Final = 2.0
"""Seconds for which a request waits for pages of the past."""

_HEAD: Final = struct.Struct("<4sIQQQII")
_ACCOUNT: Final = struct.Struct("<QQII")
_U64: Final = 2**64 - 1
_ID_LENGTH: Final = 36
_LONGEST_REVOCATION: Final = 5


class MalformedPage(ValueError):
    """The bytes are no page."""


def key_of(identifier: str) -> int:
    """Return the 64 bits under which an id is listed; 0, which nothing is listed under, for what is no id."""
    digits = identifier[4:]
    is_id = len(identifier) == _ID_LENGTH and identifier[3] == "_" and set(digits) <= set("0123456789abcdefABCDEF")
    if not is_id:
        return 0
    high, low = divmod(int(digits, 16), 2**64)
    return ((low << 2 | low >> 62) ^ (high * 0x9E3779B97F4A7C15)) & _U64


@dataclass(frozen=True)
class Page:
    """Everything that was revoked from `start` until `end`, in milliseconds since 1970, as it was known at `as_of`."""

    start: int
    end: int
    as_of: int
    kept_for: int
    size: int
    _sessions: array[int]
    _accounts: bytes

    @classmethod
    def parse(cls, data: bytes) -> Page:
        """Read a page. Raise `MalformedPage` if the bytes are none."""
        if len(data) < _HEAD.size:
            raise MalformedPage("too short")
        magic, kept_for, start, end, as_of, sessions, accounts = _HEAD.unpack_from(data)
        is_whole = len(data) == _HEAD.size + 8 * sessions + _ACCOUNT.size * accounts
        if magic != b"prv1" or not is_whole or not start < end <= as_of:
            raise MalformedPage("no page")
        middle = _HEAD.size + 8 * sessions
        listed = array("Q", data[_HEAD.size : middle])
        if sys.byteorder == "big":
            listed.byteswap()
        return cls(start, end, as_of, kept_for, len(data), listed, data[middle:])

    @property
    def is_settled(self) -> bool:
        """Return whether nothing of its span can be added any more."""
        return self.end + SLACK <= self.as_of

    def covers(self, session: int, account: int, epoch: int) -> bool:
        """Return whether a token of this session, account and session epoch is to be refused."""
        if self.lists(session):
            return True
        ended = (entry for entry in self._of(account) if epoch < entry[2])
        return any(exception == 0 or exception != session for _, exception, _, _ in ended)

    def lists(self, session: int) -> bool:
        """Return whether this session has ended by itself."""
        place = bisect_left(self._sessions, session)
        return place < len(self._sessions) and self._sessions[place] == session

    def concerns(self, account: int, time: float, session: int = 0) -> bool:
        """Return whether something of this account was revoked at or after `time`, in Unix seconds, this session with it."""
        return any(entry[3] >= time and (entry[1] == 0 or entry[1] != session) for entry in self._of(account))

    def _of(self, account: int) -> Iterator[tuple[int, int, int, int]]:
        places = range(len(self._accounts) // _ACCOUNT.size)
        for place in places[bisect_left(places, account, key=lambda place: self._entry(place)[0]) :]:
            entry = self._entry(place)
            if entry[0] != account:
                return
            yield entry

    def _entry(self, place: int) -> tuple[int, int, int, int]:
        return _ACCOUNT.unpack_from(self._accounts, place * _ACCOUNT.size)


@dataclass(frozen=True)
class Ask:
    """What to ask the service for: a span of the past, or without one the page that ends now."""

    span: tuple[int, int] | None = None

    def params(self) -> dict[str, str]:
        """Return the query."""
        return {} if self.span is None else {"after": str(self.span[0]), "until": str(self.span[1])}


NEWEST: Final = Ask()


class Timeline:
    """Pages by the time they begin, what they cover without a gap, and which one is lacking."""

    def __init__(self) -> None:
        self._pages: list[Page] = []
        self._now = 0
        self._dropped = 0
        self._oldest = 0
        self._complete_since: int | None = None
        self.lacking: Ask | None = None

    def add(self, page: Page, ask: Ask) -> bool:
        """Take a page in, and return whether it was of use: what was asked for, and not older than what is here."""
        if ask.span is None:
            if page.as_of < self._now:
                return False
            self._now = page.end
        elif page.start != ask.span[0] or page.end > ask.span[1]:
            return False
        self._place(page)
        self._clear()
        self._complete_since = self._reach()
        self.lacking = self._first_lacking()
        return True

    def _place(self, page: Page) -> None:
        places = [(other.start, other.is_settled) for other in self._pages]
        at = bisect_left(places, (page.start, page.is_settled))
        if at < len(places) and places[at] == (page.start, page.is_settled):
            if self._pages[at].as_of <= page.as_of:
                self._pages[at] = page
        else:
            self._pages.insert(at, page)

    def _clear(self) -> None:
        """Drop what concerns nobody any more, what settled pages tell better, and the oldest where there is too much."""
        self._oldest = max(0, self._now - 1000 * max(page.kept_for for page in self._pages))
        floor = max(self._dropped, self._oldest)
        self._pages = [
            page
            for page in self._pages
            if page.end > floor and (page.is_settled or self._gap(page.start, page.end, settled=True) is not None)
        ]
        size = sum(page.size for page in self._pages)
        while size > MAX_BYTES and len(self._pages) > 1:
            oldest = self._pages.pop(0)
            size -= oldest.size
            self._dropped = oldest.end

    def _newest(self) -> Page | None:
        return next((page for page in reversed(self._pages) if page.end == self._now), None)

    def _reach(self) -> int | None:
        newest = self._newest()
        if newest is None:
            return None
        reach = newest.start
        for page in reversed(self._pages):
            if page.start < newest.start and page.end >= reach:
                reach = page.start
        return reach

    def _gap(self, start: int, end: int, *, settled: bool) -> int | None:
        """Return the first moment of a span that no page, or no settled page, tells of."""
        at = start
        for page in self._pages:
            if page.start <= at and (page.is_settled or not settled):
                at = max(at, page.end)
        return at if at < end else None

    def _first_lacking(self) -> Ask | None:
        newest = self._newest()
        if newest is None:
            return None
        settled = max(0, self._now - SLACK)
        block = settled - settled % BLOCK
        floor = max(self._dropped, self._oldest)
        at = self._gap(max(block, floor), newest.start, settled=False)
        if at is not None:
            return Ask((at - at % SLOT, newest.start))
        while block > floor:
            at = self._gap(block - BLOCK, block, settled=True)
            if at is not None:
                return Ask((at, block))
            block -= BLOCK
        return None

    def lacks(self, issued_at: int) -> bool:
        """Return whether something may be unknown that ends a token issued at this time, in Unix seconds."""
        needed = max(issued_at * 1000 - SLACK, self._oldest)
        return self._complete_since is None or self._complete_since > needed

    def covers(self, session_id: str, account_id: str, epoch: int) -> bool:
        """Return whether a token of this session, account and session epoch is to be refused."""
        session, account = key_of(session_id), key_of(account_id)
        return any(page.covers(session, account, epoch) for page in self._pages)

    def concerns(self, account_id: str, time: float) -> bool:
        """Return whether something of this account was revoked at or after `time`, in Unix seconds."""
        return any(page.concerns(key_of(account_id), time) for page in self._pages)

    def ended(self, session_id: str, account_id: str, time: float) -> bool:
        """Return whether a session that was good at `time`, in Unix seconds, has ended since."""
        session, account = key_of(session_id), key_of(account_id)
        return any(page.lists(session) or page.concerns(account, time, session) for page in self._pages)


@dataclass(frozen=True)
class Revocations:
    """How a service follows the feed. Its token needs the right `revocation:read` in `SERVICES`.

    `fail_closed` says what happens to a token while it cannot be known whether its session has ended (the feed is out of
    reach for longer than `max_staleness`, or pages since the token's issue are lacking): refuse it with 503 (`True`), or
    decide on what is known, so that a revoked session lives until its access token expires (`False`).
    """

    fail_closed: bool
    poll: float = 5.0
    max_staleness: float = 60.0


class Feed:
    """The pages and their age. It does no I/O and knows no clock."""

    def __init__(self, settings: Revocations) -> None:
        self._settings = settings
        self._pages = Timeline()
        self._confirmed_at = float("-inf")
        self._failed_at: float | None = None
        self._past_failed_at: float | None = None

    def is_due(self, now: float) -> bool:
        """Return whether the newest page should be asked for, though nobody has to wait for it yet."""
        if now - self._confirmed_at < 0.6 * self._settings.poll:
            return False
        return self._failed_at is None or now - self._failed_at >= RETRY_INTERVAL

    def wanted(self, now: float) -> Ask | None:
        """Return what to ask for now."""
        if self.is_due(now):
            return NEWEST
        pauses = self._past_failed_at is not None and now - self._past_failed_at < RETRY_INTERVAL
        return None if pauses else self._pages.lacking

    def must_wait(self, issued_at: int, asked_at: float, now: float) -> bool:
        """Return whether a request that came at `asked_at` with a token of `issued_at` waits for what is wanted."""
        if self._failed_at is None and now - self._confirmed_at >= self._settings.poll:
            return True
        is_patient = now - asked_at < PATIENCE and self._past_failed_at is None
        return is_patient and self._pages.lacking is not None and self._pages.lacks(issued_at)

    def judge(self, claims: Claims, now: float) -> None:
        """Raise `SessionRevoked` if the token's session has ended, `FeedBehind` if that is unknown and must not be."""
        if self._pages.covers(claims.session_id, claims.sub, claims.epoch):
            raise SessionRevoked
        if self._settings.fail_closed and (self.is_stale(now) or self._pages.lacks(claims.iat)):
            raise FeedBehind("it is not known at the moment whether the session has ended")

    def judge_open(self, session_id: str, account_id: str, since: float, now: float) -> None:
        """Judge a connection that was good at `since`, in Unix seconds, and of whose token no more is known than this."""
        if self._pages.ended(session_id, account_id, since - _LONGEST_REVOCATION):
            raise SessionRevoked
        if self._settings.fail_closed and self.is_stale(now):
            raise FeedBehind("it is not known at the moment whether the session has ended")

    def is_stale(self, now: float) -> bool:
        """Return whether too much may have been revoked unnoticed."""
        return now - self._confirmed_at > self._settings.max_staleness

    def concerns(self, account_id: str, looked_up_at: float) -> bool:
        """Return whether what was learnt of an API key at that time, in Unix seconds, has to be learnt again."""
        return self._pages.concerns(account_id, looked_up_at - _LONGEST_REVOCATION)

    def arrived(self, ask: Ask, data: bytes, asked_at: float, now: float) -> None:
        """Take in a page that was asked for at `asked_at`. One that is of no use counts as none."""
        try:
            is_news = self._pages.add(Page.parse(data), ask)
        except MalformedPage:
            is_news = False
        if not is_news:
            self.failed(ask, now)
        elif ask.span is None:
            self._confirmed_at, self._failed_at = max(self._confirmed_at, asked_at), None
        else:
            self._past_failed_at = None

    def failed(self, ask: Ask, now: float) -> None:
        """Take note that a page could not be had."""
        if ask.span is None:
            self._failed_at = now
        else:
            self._past_failed_at = now
