"""The edge's proof of origin: whose requests are believed, and for how long."""

import base64
import hashlib
import hmac

import pytest
from portcullis import CredentialsMissing, EdgeProof, Grant, NotThroughTheEdge, SeenHere, Unavailable
from portcullis.edge import SIGNED

from issuer import START, b64

KEY = b64(bytes([7] * 32))
TARGET = "/v1/portfolio?page=2"
# The vector of `edge/README.md`, which Rust made.
WRITTEN = {
    "x-edge-proof": "v1;t=1760000000;ff783270103cad5d792e08bd2eab45c5b57d7bceb378053b03da6b74292259d9",
    "x-user-id": "usr_1",
    "x-user-email": "asha@example.com",
    "x-user-roles": "user",
    "x-session-id": "ses_1",
    "x-auth-method": "jwt",
    "x-request-id": "r-1",
    "x-client-address": "192.0.2.7",
}


def raw(headers):
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def proven(headers, *, time=START, service="portfolio", method="GET", target=TARGET, key=KEY):
    """The proof by its description, written a second time to check the first."""
    values = [headers.get(name, "") for name in SIGNED]
    text = "\n".join(["portcullis-edge-v1", str(int(time)), service, method, target, *values])
    mac = hmac.new(base64.urlsafe_b64decode(key + "=="), text.encode("latin-1"), hashlib.sha256).hexdigest()
    return raw(headers | {"x-edge-proof": f"v1;t={int(time)};{mac}"})


@pytest.fixture
def edge(clock):
    return EdgeProof(KEY, "portfolio", clock=clock)


def test_the_written_vector(edge):
    caller = edge.verify("GET", TARGET, raw(WRITTEN))
    assert (caller.user_id, caller.email, caller.roles) == ("usr_1", "asha@example.com", ("user",))
    assert (caller.method, caller.session_id, caller.scopes) == ("access_token", "ses_1", None)
    assert (caller.request_id, caller.client_address) == ("r-1", "192.0.2.7")
    assert proven({name: value for name, value in WRITTEN.items() if name != "x-edge-proof"})[-1] == raw(WRITTEN)[0]


def test_another_request_is_not_proven(edge, clock):
    for method, target in [("POST", TARGET), ("GET", "/v1/portfolio?page=3"), ("GET", "/v1/portfolio")]:
        with pytest.raises(NotThroughTheEdge):
            edge.verify(method, target, raw(WRITTEN))
    with pytest.raises(NotThroughTheEdge):
        EdgeProof(KEY, "trading", clock=clock).verify("GET", TARGET, raw(WRITTEN))
    with pytest.raises(NotThroughTheEdge):
        EdgeProof(b64(bytes([8] * 32)), "portfolio", clock=clock).verify("GET", TARGET, raw(WRITTEN))


@pytest.mark.parametrize("name", SIGNED)
def test_every_identity_header_is_signed(edge, name):
    for changed in (WRITTEN | {name: "admin"}, {other: v for other, v in WRITTEN.items() if other != name}):
        if changed != WRITTEN:
            with pytest.raises(NotThroughTheEdge):
                edge.verify("GET", TARGET, raw(changed))


@pytest.mark.parametrize("name", [*SIGNED, "x-edge-proof"])
def test_a_header_that_came_twice_is_not_believed(edge, name):
    extra = [(name.upper().encode(), WRITTEN.get(name, "admin").encode())]
    doubled = raw(WRITTEN) + extra if name in WRITTEN else raw(WRITTEN) + extra * 2
    with pytest.raises(NotThroughTheEdge):
        edge.verify("GET", TARGET, doubled)


def test_it_lives_half_a_minute(edge, clock):
    for passed, is_good in [(-31, False), (-30, True), (30, True), (31, False)]:
        clock.passed = passed
        if is_good:
            assert edge.verify("GET", TARGET, raw(WRITTEN))
        else:
            with pytest.raises(NotThroughTheEdge):
                edge.verify("GET", TARGET, raw(WRITTEN))


def test_a_proof_has_one_spelling(edge):
    good = WRITTEN["x-edge-proof"]
    for other in ["", "v1", good.upper(), good.replace("v1", "v2"), good.replace("t=1", "t=01"), good.replace("t=", "t=+"),
                  good + "0", " " + good, good[:-1], good.replace("t=1760000000", "t="), good + "\n",
                  good.replace("t=1760000000", "t=" + "9" * 5000), good.replace("1", "١")]:  # fmt: skip
        with pytest.raises(NotThroughTheEdge):
            edge.verify(
                "GET",
                TARGET,
                [(n, v) for n, v in raw(WRITTEN) if n != b"x-edge-proof"] + [(b"x-edge-proof", other.encode())],
            )


def test_a_field_cannot_pass_for_two(edge):
    with pytest.raises(NotThroughTheEdge):
        edge.verify("GET", TARGET, proven({"x-user-id": "usr_1\nadmin"}))


def test_old_and_new_key_while_it_is_replaced(clock):
    new = b64(bytes([9] * 32))
    both = EdgeProof([KEY, new], "portfolio", clock=clock)
    assert both.verify("GET", TARGET, proven({"x-user-id": "u"}, key=new)).user_id == "u"
    assert both.verify("GET", TARGET, raw(WRITTEN))


@pytest.mark.parametrize("key", ["", b64(b"short"), [], "not base64!" * 8])
def test_keys_that_are_none(key):
    with pytest.raises(ValueError):  # noqa: PT011
        EdgeProof(key, "portfolio")


def test_sent_again_within_the_window(clock):
    edge = EdgeProof(KEY, "portfolio", clock=clock, seen=SeenHere(clock=clock))
    assert edge.verify("GET", TARGET, raw(WRITTEN))
    for passed in [0, 15, 30]:
        clock.passed = passed
        with pytest.raises(NotThroughTheEdge, match="before"):
            edge.verify("GET", TARGET, raw(WRITTEN))
    assert edge.verify("GET", TARGET, proven({"x-user-id": "usr_1", "x-request-id": "r-2"}, time=clock.now()))


def test_a_proof_of_the_future_is_remembered_until_it_ends(clock):
    edge = EdgeProof(KEY, "portfolio", clock=clock, seen=SeenHere(clock=clock))
    early = proven({"x-user-id": "u"}, time=START + 30)
    assert edge.verify("GET", TARGET, early)
    clock.passed = 60
    with pytest.raises(NotThroughTheEdge, match="before"):
        edge.verify("GET", TARGET, early)


def test_a_full_memory_forgets_nothing_early(clock):
    edge = EdgeProof(KEY, "portfolio", clock=clock, seen=SeenHere(2, clock))
    first, second, third = (proven({"x-user-id": "u", "x-request-id": f"r-{number}"}) for number in range(3))
    assert edge.verify("GET", TARGET, first) and edge.verify("GET", TARGET, second)
    with pytest.raises(Unavailable):
        edge.verify("GET", TARGET, third)
    with pytest.raises(NotThroughTheEdge, match="before"):
        edge.verify("GET", TARGET, first)
    clock.passed = 62
    assert edge.verify("GET", TARGET, proven({"x-user-id": "u"}, time=clock.now()))


def test_escaped_values_and_keys(edge):
    headers = {"x-user-id": "usr_1", "x-user-email": "zo%C3%AB%2C@example.com", "x-user-roles": "user,a%2Cb",
               "x-auth-method": "api_key", "x-user-scopes": "market:read,portfolio:*"}  # fmt: skip
    caller = edge.verify("GET", TARGET, proven(headers))
    assert (caller.email, caller.roles) == ("zoë,@example.com", ("user", "a,b"))
    assert caller.scopes == (Grant("market", "read"), Grant("portfolio", "*")) and caller.method == "api_key"
    assert edge.verify("GET", TARGET, proven(headers | {"x-user-scopes": ""})).scopes == (), "a key without any scope"


def test_a_public_route_has_no_caller(edge):
    with pytest.raises(CredentialsMissing):
        edge.verify("GET", TARGET, proven({"x-request-id": "r-1"}))
