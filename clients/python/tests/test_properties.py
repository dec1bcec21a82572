"""Whatever comes: parsers fail in the one way they say, and pages together tell what was revoked."""

import functools
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from portcullis import Permission, PolicyError, Refused, TokenRejected, credential_of
from portcullis import revocations as feed
from portcullis.api_keys import is_candidate, read_holder
from portcullis.keys import MalformedKeys, parse_keys
from portcullis.policy import Policy
from portcullis.tokens import UnverifiedToken, decode_base64url
from test_revocations import Reader

from issuer import FakeClock, Issuer, b64, page

RS256 = frozenset({"RS256"})
GOOD = Issuer(FakeClock()).token()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["alg", "typ", "kid", "crit", "kty", "n", "e", "use", "keys", "x"]) | st.text(max_size=3)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=6)


def either(call, *errors):
    """Call it; the errors that it says it raises are all it may raise."""
    try:
        return call()
    except errors:
        return None


@given(
    st.text(max_size=200)
    | st.tuples(OBJECTS, OBJECTS).map(lambda two: ".".join(b64(json.dumps(o)) for o in two) + ".AAAA")
)
def test_a_token_is_read_or_rejected(text):
    either(lambda: UnverifiedToken.parse(text, RS256), TokenRejected)


@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=255))
def test_one_changed_character_is_never_the_same_token(place, character):
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    found = either(lambda: UnverifiedToken.parse(changed, RS256), TokenRejected)
    good = UnverifiedToken.parse(GOOD, RS256)
    if found is not None and changed != GOOD:
        assert (found.signing_input, found.signature) != (good.signing_input, good.signature)


@given(st.binary(max_size=60))
def test_base64url_reads_back_in_one_spelling(data):
    assert decode_base64url(b64(data)) == data
    for other in (b64(data) + "=", b64(data) + "\n", "+" + b64(data)):
        assert either(functools.partial(decode_base64url, other), ValueError) is None


@given(st.binary(max_size=100) | st.lists(OBJECTS, max_size=3).map(lambda keys: json.dumps({"keys": keys}).encode()))
def test_a_key_set_is_read_or_refused(data):
    either(lambda: parse_keys(data), MalformedKeys)


@given(st.binary(max_size=100) | OBJECTS.map(lambda members: json.dumps(members | {"active": True}).encode()))
def test_a_look_up_is_read_or_refused(data):
    either(lambda: read_holder(data), ValueError)


@given(st.text(max_size=300))
def test_texts_are_keys_permissions_and_policies_or_not(text):
    assert is_candidate(text) in (True, False)
    either(lambda: Permission.parse(text), ValueError)
    either(lambda: Policy(text), PolicyError)


@given(
    st.lists(
        st.tuples(st.sampled_from([b"authorization", b"Authorization", b"x-api-key", b"x"]), st.binary(max_size=20)),
        max_size=4,
    )
)
def test_headers_have_a_credential_or_are_refused(headers):
    either(lambda: credential_of(headers), Refused)


@given(st.binary(max_size=200), st.integers(0, 2**64 - 1))
def test_bytes_are_a_page_or_none(data, number):
    for candidate in (data, b"prv1" + data):
        found = either(functools.partial(feed.Page.parse, candidate), feed.MalformedPage)
        if found is not None:
            assert found.covers(number, number, 0) in (True, False)


T = 26_855_468 * feed.BLOCK
WRITES = st.lists(st.tuples(st.integers(0, 300_000), st.integers(0, 40_000), st.integers(1, 2**64 - 1)), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(WRITES, st.lists(st.integers(1000, 40_000), min_size=1, max_size=12))
def test_whatever_was_written_is_known_once_nothing_lacks(writes, pauses):
    """Rows appear up to 40 seconds after the time they carry; a reader that polls when it likes misses none for good."""
    timeline, now = Reader(), T + 300_000

    def ask(wanted):
        start, end = wanted.span or ((now - 6000) - (now - 6000) % feed.SLOT, now)
        end = min(end, now)
        seen = [(T + at, key) for at, delay, key in writes if start <= T + at < end and T + at + delay <= now]
        timeline.add(feed.Page.parse(page(start, end, now, seen)), wanted)

    for pause in [*pauses, feed.BLOCK + feed.SLACK]:
        ask(feed.NEWEST)
        for _ in range(60):
            if timeline.lacking is None:
                break
            ask(timeline.lacking)
        assert timeline.lacking is None
        now += pause
    ask(feed.NEWEST)
    while timeline.lacking is not None:
        ask(timeline.lacking)
    oldest = now - 965_000
    for at, delay, key in writes:
        if T + at >= oldest + feed.BLOCK and T + at + delay <= now:
            assert any(one.covers(key, 0, 0) for one in timeline.pages), (at, delay)


def test_the_good_token_is_one():
    with pytest.raises(TokenRejected):
        UnverifiedToken.parse(GOOD, frozenset({"ES256"}))
    assert UnverifiedToken.parse(GOOD, RS256).payload()["iss"] == "user_service"
