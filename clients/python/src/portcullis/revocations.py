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

from portcullis.errors import FeedBehind, Rejection, SessionRevoked, TokenRejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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


@dataclass(frozen=True)
class Timeline:
    """Pages by the time they begin, what they cover without a gap, and which one is lacking.

    It never changes: a page makes another one, so that a thread decides on one state of things while another reads a page.
    """

    pages: tuple[Page, ...] = ()
    lacking: Ask | None = None
    """The page of the past to ask for next, the newest first."""
    _now: int = 0
    """Until when the newest page tells."""
    _dropped: int = 0
    """Pages before this were dropped because there were too many."""
    _oldest: int = 0
    """Before this nothing concerns a token that is still good."""
    _complete_since: int | None = None
    """From here to `_now` everything is known."""

    def add(self, page: Page, ask: Ask) -> Timeline | None:
        """Return what is known with this page; `None` if it is not what was asked for, or older than what is here."""
        is_wanted = (
            page.as_of >= self._now if ask.span is None else ask.span[0] == page.start and page.end <= ask.span[1]
        )
        if not is_wanted:
            return None
        now = page.end if ask.span is None else self._now
        pages = _placed(self.pages, page)
        oldest = max(0, now - 1000 * max(one.kept_for for one in pages))
        pages = _useful(pages, max(self._dropped, oldest))
        pages, dropped = _bounded(pages, self._dropped)
        newest = next((one for one in reversed(pages) if one.end == now), None)
        if newest is None:
            return Timeline(pages, None, now, dropped, oldest, None)
        lacking = _first_lacking(pages, newest, now, max(dropped, oldest))
        return Timeline(pages, lacking, now, dropped, oldest, _reach(pages, newest))

    def lacks(self, issued_at: int) -> bool:
        """Return whether something may be unknown that ends a token issued at this time, in Unix seconds."""
        needed = max(issued_at * 1000 - SLACK, self._oldest)
        return self._complete_since is None or self._complete_since > needed

    def covers(self, session_id: str, account_id: str, epoch: int) -> bool:
        """Return whether a token of this session, account and session epoch is to be refused."""
        session, account = key_of(session_id), key_of(account_id)
        return any(page.covers(session, account, epoch) for page in self.pages)

    def concerns(self, account_id: str, time: float) -> bool:
        """Return whether something of this account was revoked at or after `time`, in Unix seconds."""
        return any(page.concerns(key_of(account_id), time) for page in self.pages)

    def withdraws(self, kid: str) -> bool:
        """Return whether the signing key of this id was withdrawn. The newest page lists it among the sessions."""
        key = int.from_bytes(kid.encode()[:8], "little")
        return any(page.lists(key) for page in self.pages)

    def ended(self, session_id: str, account_id: str, time: float) -> bool:
        """Return whether a session that was good at `time`, in Unix seconds, has ended since."""
        session, account = key_of(session_id), key_of(account_id)
        return any(page.lists(session) or page.concerns(account, time, session) for page in self.pages)


def _placed(pages: tuple[Page, ...], page: Page) -> tuple[Page, ...]:
    """Return the pages with this one, in place of an older one of the same span."""
    places = [(other.start, other.is_settled) for other in pages]
    place = (page.start, page.is_settled)
    at = bisect_left(places, place)
    if at == len(places) or places[at] != place:
        return (*pages[:at], page, *pages[at:])
    return (*pages[:at], page, *pages[at + 1 :]) if pages[at].as_of <= page.as_of else pages


def _useful(pages: tuple[Page, ...], floor: int) -> tuple[Page, ...]:
    """Return the pages without those that concern nobody any more, and those that settled ones tell better."""
    settled = [page for page in pages if page.is_settled]
    return tuple(
        page
        for page in pages
        if page.end > floor and (page.is_settled or _gap(settled, page.start, page.end) is not None)
    )


def _bounded(pages: tuple[Page, ...], dropped: int) -> tuple[tuple[Page, ...], int]:
    """Return the pages without the oldest where there is too much, and the time before which they were dropped."""
    size, first = sum(page.size for page in pages), 0
    while size > MAX_BYTES and first < len(pages) - 1:
        size -= pages[first].size
        dropped = pages[first].end
        first += 1
    return pages[first:], dropped


def _reach(pages: tuple[Page, ...], newest: Page) -> int:
    """Return since when everything is known until the newest page ends."""
    reach = newest.start
    for page in reversed(pages):
        if page.start < newest.start and page.end >= reach:
            reach = page.start
    return reach


def _gap(pages: Iterable[Page], start: int, end: int) -> int | None:
    """Return the first moment of a span that no page tells of."""
    at = start
    for page in pages:
        if page.start <= at:
            at = max(at, page.end)
    return at if at < end else None


def _first_lacking(pages: tuple[Page, ...], newest: Page, now: int, floor: int) -> Ask | None:
    block = max(0, now - SLACK)
    block -= block % BLOCK
    at = _gap(pages, max(block, floor), newest.start)
    if at is not None:
        return Ask((at - at % SLOT, newest.start))
    settled = [page for page in pages if page.is_settled]
    while block > floor:
        at = _gap(settled, block - BLOCK, block)
        if at is not None:
            return Ask((at, block))
        block -= BLOCK
    return None


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
        self._known = Timeline()
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
        return None if pauses else self._known.lacking

    def must_wait(self, issued_at: int, asked_at: float, now: float) -> bool:
        """Return whether a request that came at `asked_at` with a token of `issued_at` waits for what is wanted."""
        if self._failed_at is None and now - self._confirmed_at >= self._settings.poll:
            return True
        is_patient = now - asked_at < PATIENCE and self._past_failed_at is None
        known = self._known
        return is_patient and known.lacking is not None and known.lacks(issued_at)

    def judge(self, claims: Claims, now: float) -> None:
        """Raise `SessionRevoked` if the token's session has ended, `FeedBehind` if that is unknown and must not be.

        Raise `TokenRejected` if its key was withdrawn, whatever copy of the issuer's keys is here.
        """
        known = self._known
        if known.withdraws(claims.kid):
            raise TokenRejected(Rejection.UNKNOWN_KEY)
        if known.covers(claims.session_id, claims.sub, claims.epoch):
            raise SessionRevoked
        if self._settings.fail_closed and (self.is_stale(now) or known.lacks(claims.iat)):
            raise FeedBehind("it is not known at the moment whether the session has ended")

    def judge_open(self, session_id: str, account_id: str, since: float, now: float) -> None:
        """Judge a connection that was good at `since`, in Unix seconds, and of whose token no more is known than this."""
        if self._known.ended(session_id, account_id, since - _LONGEST_REVOCATION):
            raise SessionRevoked
        if self._settings.fail_closed and self.is_stale(now):
            raise FeedBehind("it is not known at the moment whether the session has ended")

    def is_stale(self, now: float) -> bool:
        """Return whether too much may have been revoked unnoticed."""
        return now - self._confirmed_at > self._settings.max_staleness

    def concerns(self, account_id: str, looked_up_at: float) -> bool:
        """Return whether what was learnt of an API key at that time, in Unix seconds, has to be learnt again."""
        return self._known.concerns(account_id, looked_up_at - _LONGEST_REVOCATION)

    def arrived(self, ask: Ask, data: bytes, asked_at: float, now: float) -> bool:
        """Take in a page that was asked for at `asked_at`. Return whether it was of any use; otherwise it counts as none."""
        try:
            known = self._known.add(Page.parse(data), ask)
        except MalformedPage:
            known = None
        if known is None:
            self.failed(ask, now)
            return False
        self._known = known
        if ask.span is None:
            self._confirmed_at, self._failed_at = max(self._confirmed_at, asked_at), None
        else:
            self._past_failed_at = None
        return True

    def failed(self, ask: Ask, now: float) -> None:
        """Take note that a page could not be had."""
        if ask.span is None:
            self._failed_at = now
        else:
            self._past_failed_at = now
