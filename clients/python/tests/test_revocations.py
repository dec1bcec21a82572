"""The feed of revocations: its form, and that a session which has ended is refused."""

import random
import struct

import httpx
import pytest
from portcullis import FeedBehind, Rejection, Revocations, SessionRevoked, TokenRejected
from portcullis import revocations as feed

from issuer import SESSION, START, USER, Key, key_of, page

PATH = "/v1/internal/revocations"
T = 26_855_468 * feed.BLOCK


@pytest.fixture
def verifier(verifier_of):
    return verifier_of(revocations=Revocations(fail_closed=True))


def test_a_session_that_has_ended_is_refused_within_the_time_of_a_poll(verifier, issuer, clock):
    token = issuer.token()
    assert verifier.verify(token)
    issuer.revoke_session(SESSION)
    other = issuer.token(session_id="ses_" + "c" * 32)
    clock.passed = 5
    with pytest.raises(SessionRevoked):
        verifier.verify(token)
    assert verifier.verify(other)


def test_what_ended_before_the_service_started_is_known(verifier, issuer, clock):
    token = issuer.token()
    issuer.revoke_session(SESSION)
    clock.passed = 600
    with pytest.raises(SessionRevoked):
        verifier.verify(token)


def test_everything_of_an_account_but_the_session_that_goes_on(verifier, issuer, clock):
    old, kept = issuer.token(epoch=1), issuer.token(epoch=1, session_id="ses_" + "d" * 32)
    stranger = issuer.token(epoch=1, sub="usr_" + "e" * 32)
    issuer.revoke_account(USER, 2, survivor="ses_" + "d" * 32)
    clock.passed = 10
    with pytest.raises(SessionRevoked):
        verifier.verify(old)
    assert verifier.verify(kept) and verifier.verify(stranger)
    assert verifier.verify(issuer.token(epoch=2)), "who signs in again at once has the new epoch"


def test_a_key_that_was_withdrawn_is_believed_by_nobody_who_still_has_it(verifier, issuer, clock):
    """It stands among the sessions of the newest page, by the first eight characters of its id."""
    old, new = issuer.keys[0], Key()
    issuer.keys.append(new)
    token = issuer.token(key=old)
    claims = verifier.verify(token)
    assert claims.kid == old.kid
    issuer.revoked.append((issuer.milliseconds(), int.from_bytes(old.kid[:8].encode(), "little")))
    clock.passed = 6
    for attempt in (lambda: verifier.verify(token), lambda: verifier.check_again(claims)):
        with pytest.raises(TokenRejected) as caught:
            attempt()
        assert caught.value.reason is Rejection.UNKNOWN_KEY
    assert verifier.verify(issuer.token(key=new))


def test_a_verified_token_is_looked_at_again(verifier, issuer, clock):
    claims = verifier.verify(issuer.token())
    verifier.check_again(claims)
    issuer.revoke_session(SESSION)
    clock.passed = 6
    with pytest.raises(SessionRevoked):
        verifier.check_again(claims)


def test_requests_do_not_ask_each_time_and_blocks_are_asked_for_once(verifier, issuer, clock):
    for _ in range(3):
        verifier.verify(issuer.token())
    first = issuer.count(PATH)
    assert first <= 20, "the newest page, and the blocks of the lifetime of a token"
    for _ in range(2000):
        clock.passed += 0.1
        verifier.verify(issuer.token())
    polls = 200 / 3
    assert issuer.count(PATH) - first <= polls + 200_000 / feed.BLOCK + 2
    spans = [str(request.url.query) for path, request in issuer.asked if path == PATH and request.url.query]
    assert len(spans) - len(set(spans)) <= 1


def test_a_row_that_was_written_late_is_found_once_its_block_has_settled(verifier, issuer, clock):
    token = issuer.token(exp=int(START) + 900)
    verifier.verify(token)
    written_at = issuer.milliseconds() + 1000
    while clock.passed < 30:
        clock.passed += 2
        verifier.verify(token)
    issuer.revoke_session(SESSION, at=written_at)
    with pytest.raises(SessionRevoked):
        while clock.passed < 200:
            clock.passed += 2
            verifier.verify(token)


@pytest.mark.parametrize("fault", [503, 401, b"garbage", httpx.ConnectError("no"), b"x" * (7 << 20)])
def test_while_the_feed_is_down_the_choice_decides(verifier_of, issuer, clock, fault):
    closed, open_ = (verifier_of(revocations=Revocations(fail_closed=choice)) for choice in (True, False))
    token = issuer.token()
    assert closed.verify(token) and open_.verify(token)
    issuer.faults[PATH] = fault
    issuer.revoke_session(SESSION)
    clock.passed = 60
    assert closed.verify(token) and open_.verify(token), "a minute is waited for"
    clock.passed = 61.1
    with pytest.raises(FeedBehind):
        closed.verify(token)
    assert open_.verify(token), "decides on what it knows"
    issuer.faults.clear()
    clock.passed = 63
    for verifier in (closed, open_):
        with pytest.raises(SessionRevoked):
            verifier.verify(token)


def test_a_page_of_another_span_or_of_an_earlier_time_counts_as_none(verifier, issuer, clock):
    token = issuer.token()
    assert verifier.verify(token)
    now = issuer.milliseconds()
    before = issuer.count(PATH)
    for passed in (2, 30, 61.1):
        issuer.faults[PATH] = page(now - 20_000, now - 10_000, now - 10_000, [])
        clock.passed = passed
        if passed < 60:
            verifier.verify(token)
        else:
            with pytest.raises(FeedBehind):
                verifier.verify(token)
    assert issuer.count(PATH) - before < 10, "and is not asked for again and again"


def test_while_pages_since_the_issue_lack_the_choice_decides(verifier_of, issuer, clock):
    old = issuer.token()
    issuer.revoke_session(SESSION)
    clock.passed = 300
    issuer.faults[PATH] = lambda request: 503 if request.url.query else None
    with pytest.raises(FeedBehind):
        verifier_of(revocations=Revocations(fail_closed=True)).verify(old)
    assert verifier_of(revocations=Revocations(fail_closed=False)).verify(old)
    issuer.faults.clear()
    for choice in (True, False):
        with pytest.raises(SessionRevoked):
            verifier_of(revocations=Revocations(fail_closed=choice)).verify(old)


def test_a_service_that_never_reached_the_feed(verifier_of, issuer, clock):
    issuer.faults[PATH] = 503
    with pytest.raises(FeedBehind):
        verifier_of(revocations=Revocations(fail_closed=True)).verify(issuer.token())
    assert verifier_of(revocations=Revocations(fail_closed=False)).verify(issuer.token())


def test_the_choice_has_to_be_made(verifier_of):
    with pytest.raises(TypeError):
        Revocations()
    with pytest.raises(ValueError, match="service_token"):
        verifier_of(revocations=Revocations(fail_closed=True), service_token=None)


# The form of a page.


def test_the_key_of_an_id():
    rng = random.Random(1)
    for _ in range(200):
        identifier = f"ses_{rng.getrandbits(128):032x}"
        assert feed.key_of(identifier) == key_of(identifier) < 2**64
    assert feed.key_of("ses_" + "0" * 31 + "1") == 4
    for text in [
        "",
        "ses_",
        "ses_1",
        "séé_1",
        "sess" + "0" * 32,
        "ses_" + "g" * 32,
        "ses_" + "0" * 31,
        "ses_" + "١" * 32,
    ]:
        assert feed.key_of(text) == 0, text


ENTRIES = [(1, 9), (1, 1), (1, 4), (900_000, 7, 3, 3), (1_000_000, 7, 0, 2), (1000, 5, 0, 2**32 - 1)]
GOOD = page(1000, 9000, 9000, ENTRIES, kept_for=960)


def test_a_page_says_who_is_covered():
    whole = feed.Page.parse(GOOD)
    assert (whole.start, whole.end, whole.as_of, whole.kept_for) == (1000, 9000, 9000, 960)
    assert all(whole.covers(session, 0, epoch) for session in (1, 4, 9) for epoch in (0, 9))
    assert not whole.covers(2, 0, 0) and not whole.covers(10, 0, 0)
    assert whole.covers(2, 7, 2) and not whole.covers(2, 7, 3)
    assert not whole.covers(3, 7, 2), "the session the others were ended from"
    assert whole.covers(3, 7, 1), "ended by the other entry all the same"
    assert whole.covers(2, 5, 2**31)
    assert whole.concerns(7, 1000) and not whole.concerns(7, 1001) and not whole.concerns(6, 0)


def test_what_is_no_page():
    for length in range(len(GOOD)):
        with pytest.raises(feed.MalformedPage):
            feed.Page.parse(GOOD[:length])
    huge = GOOD[:32] + b"\xff" * 8 + GOOD[40:]
    for data in [GOOD + b"\0", b"prv2" + GOOD[4:], huge, page(9000, 9000, 9000, []), page(1, 9001, 9000, [])]:
        with pytest.raises(feed.MalformedPage):
            feed.Page.parse(data)


# What pages cover together.


class Reader:
    """A timeline that changes with each page."""

    def __init__(self):
        self.known = feed.Timeline()

    def __getattr__(self, name):
        return getattr(self.known, name)

    def add(self, page, ask):
        self.known = self.known.add(page, ask) or self.known


def add(timeline, start, end, now, sessions=(), ask=None):
    ask = ask or feed.Ask((start, end))
    timeline.add(feed.Page.parse(page(start, end, now, [(start, s) for s in sessions], 960)), ask)


def poll(timeline, now):
    reach = now - 6000
    add(timeline, reach - reach % feed.SLOT, now, now, [now], feed.NEWEST)


def load(timeline, now):
    asked = 0
    while timeline.lacking is not None:
        ask = timeline.lacking
        add(timeline, *ask.span, now, [ask.span[0]], ask)
        asked += 1
        assert asked < 50, ask
    return asked


def test_a_fresh_reader_decides_on_young_tokens_first():
    timeline = Reader()
    assert timeline.lacks(T // 1000) and timeline.lacking is None
    poll(timeline, T)
    assert timeline.lacks(T // 1000), "a minute before it was issued is not known"
    add(timeline, *timeline.lacking.span, T)
    assert not timeline.lacks(T // 1000) and timeline.lacks(T // 1000 - 200)
    assert load(timeline, T) == 14
    assert not timeline.lacks(T // 1000 - 900) and not timeline.lacks(0)


def test_who_polls_asks_once_for_each_block_and_never_lacks_anything():
    timeline = Reader()
    poll(timeline, T)
    load(timeline, T)
    asked = 0
    for number in range(1, 1000):
        now = T + number * 3000
        poll(timeline, now)
        assert not timeline.lacks(now // 1000 - 900)
        asked += load(timeline, now)
    assert asked == 999 * 3000 // feed.BLOCK
    assert len(timeline.pages) <= 32


def test_an_older_page_and_one_that_was_not_asked_for_change_nothing():
    timeline = Reader()
    poll(timeline, T + 10_000)
    add(timeline, T, T + 9000, T + 9000, [1], feed.NEWEST)
    add(timeline, T - 2 * feed.BLOCK, T, T + feed.BLOCK, [1], feed.Ask((T - feed.BLOCK, T)))
    assert len(timeline.pages) == 1
    older = feed.Page.parse(page(T, T + 9000, T + 9000, []))
    assert timeline.known.add(older, feed.NEWEST) is None


def test_entries_leave_with_the_last_token_and_the_oldest_where_there_is_too_much(monkeypatch):
    timeline = Reader()
    poll(timeline, T)
    load(timeline, T)
    poll(timeline, T + 3_000_000)
    assert len(timeline.pages) == 1
    monkeypatch.setattr(feed, "MAX_BYTES", 2000)
    load(timeline, T + 3_000_000)
    assert sum(one.size for one in timeline.pages) <= 2000
    timeline = Reader()
    poll(timeline, T)
    for back in range(1, 60):
        add(timeline, T - back * feed.BLOCK, T - (back - 1) * feed.BLOCK, T, range(30))
    assert sum(one.size for one in timeline.pages) <= 2000
    assert timeline.lacks(T // 1000 - 900)
    assert load(timeline, T) < 50, "what was dropped is not asked for again and again"


def test_an_entry_on_the_wire_is_little_endian():
    assert GOOD[:4] == b"prv1" and struct.unpack_from("<I", GOOD, 4) == (960,)
