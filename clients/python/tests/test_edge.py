"""The edge's proof of origin: whose requests are believed, and for how long."""

import base64
import hashlib
import hmac
import json
import pathlib
import threading
import tracemalloc

import pytest
from portcullis import CredentialsMissing, EdgeProof, Grant, NotThroughTheEdge, Secret, SeenHere, Unavailable
from portcullis.edge import SIGNED

from issuer import START, b64

VECTORS = json.loads((pathlib.Path(__file__).resolve().parents[3] / "edge/proof-vectors.json").read_text())
KEY = "1:" + b64(bytes([7] * 32))
NEXT = "2:" + b64(bytes([9] * 32))
TARGET = "/v1/portfolio?page=2"
# The vector of `edge/README.md`, which Rust made.
WRITTEN = {
    "x-edge-proof": "v2;k=1;t=1760000000;n=i-1;a188f856bb964d6c6d54c6ab8f70a274b0cd7d7de40f10176ab0cf76a4d281fd",
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


def proven(headers, *, time=START, nonce="i-1", service="portfolio", method="GET", target=TARGET, key=KEY):
    """The proof by its description, written a second time to check the first."""
    name, _, secret = key.partition(":")
    values = [headers.get(name, "") for name in SIGNED]
    text = "\n".join(["portcullis-edge-v2", name, str(int(time)), nonce, service, method, target, *values])
    mac = hmac.new(base64.urlsafe_b64decode(secret + "=="), text.encode("latin-1"), hashlib.sha256).hexdigest()
    return raw(headers | {"x-edge-proof": f"v2;k={name};t={int(time)};n={nonce};{mac}"})


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
        EdgeProof("1:" + b64(bytes([8] * 32)), "portfolio", clock=clock).verify("GET", TARGET, raw(WRITTEN))


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
    for other in ["", "v2", good.upper(), good.replace("v2", "v1"), good.replace("t=1", "t=01"), good.replace("t=", "t=+"),
                  good.replace("k=1;", ""), good.replace("k=1", "k=" + "1" * 17), good.replace("n=i-1;", ""),
                  good.replace("n=i-1", "n=" + "1" * 65), good.replace("n=i-1", "n=i_1"),
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


@pytest.mark.parametrize("vector", VECTORS["proofs"], ids=lambda vector: vector["name"].replace(" ", "-"))
def test_the_vectors_that_the_edge_makes(clock, vector):
    clock.passed = vector["now"] - START
    edge = EdgeProof(vector["keys"], vector["service"], clock=clock)
    request = (vector["method"], vector["target"], raw(vector["headers"]))
    if not vector["valid"]:
        with pytest.raises(NotThroughTheEdge):
            edge.verify(*request)
    elif vector["caller"] is None:
        with pytest.raises(CredentialsMissing):
            edge.verify(*request)
    else:
        caller = edge.verify(*request)
        scopes = caller.scopes and [str(scope) for scope in caller.scopes]
        found = {name: getattr(caller, name) for name in vector["caller"]}
        assert found | {"roles": list(caller.roles), "scopes": scopes} == vector["caller"]


@pytest.mark.parametrize("both", [f"{KEY},{NEXT}", f" {KEY}, {NEXT}", [KEY, NEXT], [Secret(KEY), Secret(NEXT)]])
def test_old_and_new_key_while_one_takes_the_place_of_the_other(clock, both):
    edge = EdgeProof(both, "portfolio", clock=clock)
    assert edge.verify("GET", TARGET, proven({"x-user-id": "u"}, key=NEXT)).user_id == "u"
    assert edge.verify("GET", TARGET, raw(WRITTEN))


def test_a_key_that_was_removed_or_is_not_there_yet_counts_for_nothing(clock):
    for held, signed in [(NEXT, KEY), (KEY, NEXT), (KEY, NEXT.replace("2:", "1:")), (KEY, KEY.replace("1:", "2:"))]:
        with pytest.raises(NotThroughTheEdge):
            EdgeProof(held, "portfolio", clock=clock).verify("GET", TARGET, proven({"x-user-id": "u"}, key=signed))


def test_two_keys_of_one_id_while_the_root_key_is_replaced(clock):
    replaced = NEXT.replace("2:", "1:")
    edge = EdgeProof([KEY, replaced], "portfolio", clock=clock)
    for key in (KEY, replaced):
        assert edge.verify("GET", TARGET, proven({"x-user-id": "u"}, key=key))


ROOT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


@pytest.mark.parametrize(
    "key",
    ["", [], "1:", "1:" + b64(b"short"), ROOT, f"1:{ROOT}A", f"A:{ROOT}", f"1 :{ROOT}", f"{KEY},", "not base64!" * 8],
)
def test_keys_that_are_none(key):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        EdgeProof(key, "portfolio")
    assert ROOT not in str(error.value)


def test_sent_again_within_the_window(clock):
    edge = EdgeProof(KEY, "portfolio", clock=clock, seen=SeenHere(clock=clock))
    assert edge.verify("GET", TARGET, raw(WRITTEN))
    for passed in [0, 15, 30]:
        clock.passed = passed
        with pytest.raises(NotThroughTheEdge, match="before"):
            edge.verify("GET", TARGET, raw(WRITTEN))
    assert edge.verify("GET", TARGET, proven({"x-user-id": "usr_1", "x-request-id": "r-2"}, time=clock.now()))


def test_sent_again_where_nobody_asks(edge):
    assert edge.verify("GET", TARGET, raw(WRITTEN)) == edge.verify("GET", TARGET, raw(WRITTEN))


def test_equal_requests_of_one_moment_are_no_replay(clock):
    edge = EdgeProof(KEY, "portfolio", clock=clock, seen=SeenHere(clock=clock))
    for nonce in ("i-1", "i-2"):
        assert edge.verify("GET", TARGET, proven({"x-user-id": "u", "x-request-id": "mine"}, nonce=nonce))


def test_what_is_not_signed_takes_up_no_room(clock):
    seen = SeenHere(1, clock)
    edge = EdgeProof(KEY, "portfolio", clock=clock, seen=seen)
    for number in range(10):
        with pytest.raises(NotThroughTheEdge):
            edge.verify("GET", TARGET, proven({"x-user-id": "u"}, key=NEXT.replace("2:", "1:"), nonce=f"i-{number}"))
    assert len(seen) == 0


def test_one_of_many_threads_is_first():
    seen, first = SeenHere(), []
    barrier = threading.Barrier(8)

    def show():
        barrier.wait()
        first.extend(number for number in range(500) if seen.is_first(str(number), 61))

    threads = [threading.Thread(target=show) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(first) == list(range(500))


class Shared:
    """A store that several processes share, or one that is down."""

    def __init__(self, fault=None):
        self.asked, self.fault = [], fault

    def is_first(self, proof, seconds):
        if self.fault:
            raise self.fault
        self.asked.append((proof, seconds))
        return self.asked.count((proof, seconds)) == 1


def test_several_processes_share_a_store(clock):
    store = Shared()
    one, other = (EdgeProof(KEY, "portfolio", clock=clock, seen=store) for _ in range(2))
    assert one.verify("GET", TARGET, raw(WRITTEN))
    with pytest.raises(NotThroughTheEdge, match="before"):
        other.verify("GET", TARGET, raw(WRITTEN))
    assert store.asked[0] == (WRITTEN["x-edge-proof"][-64:], 61)


@pytest.mark.parametrize("fault", [ConnectionError("no"), Unavailable("later")])
def test_a_store_that_cannot_tell_refuses(clock, fault):
    edge = EdgeProof(KEY, "portfolio", clock=clock, seen=Shared(fault))
    with pytest.raises(Unavailable):
        edge.verify("GET", TARGET, raw(WRITTEN))


def test_a_million_proofs(clock):
    """Nothing is forgotten early, nothing is kept for long, and the memory has a bound."""
    million = 1_000_000
    seen = SeenHere(million, clock)
    tracemalloc.start()
    for number in range(million):
        clock.passed = number // 20_000
        assert seen.is_first(f"{number:064x}", 61)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 125 * million, "99 bytes each"
    with pytest.raises(Unavailable):
        seen.is_first("another", 61)
    assert not any(seen.is_first(f"{number:064x}", 61) for number in (0, 1, million // 2, million - 1))
    clock.passed = 72
    assert seen.is_first("another", 61) and len(seen) < million
    assert not seen.is_first(f"{million - 1:064x}", 61)


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
    # Proofs of eight seconds are forgotten together.
    clock.passed = 72
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
