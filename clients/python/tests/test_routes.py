"""Routes and WebSockets of FastAPI and Starlette: who gets in, and what the others are told."""

import asyncio
import json
import re
import threading
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.testclient import TestClient
from portcullis import AsyncVerifier, EdgeProof, Frozen, Revocations, SeenHere, Unavailable
from portcullis.fastapi import Caller, Portcullis
from portcullis.starlette import Portcullis as ForStarlette
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from issuer import SERVICE_TOKEN, SESSION, START, URL, USER
from test_api_keys import HOLDER, KEY
from test_edge import KEY as EDGE_KEY
from test_edge import proven

DEFAULT = {"url": URL, "service_token": SERVICE_TOKEN}


def verifier_for(issuer, clock, **named):
    async def sleep(seconds):
        await asyncio.sleep(0.01)
        clock.passed += seconds

    client = httpx.AsyncClient(transport=issuer.transport())
    return AsyncVerifier(client=client, clock=clock, sleep=sleep, **(DEFAULT | named))


def fastapi_app(portcullis):
    app = FastAPI()
    portcullis.install(app)

    @app.get("/me")
    async def me(user: Annotated[Caller, Depends(portcullis.current_user)]):
        return {"owner": user.user_id, "method": user.method}

    @app.get("/orders", dependencies=[Depends(portcullis.require_permission("trading:place"))])
    def orders():
        return []

    @app.get("/market", dependencies=[Depends(portcullis.require_permission("market:read"))])
    def market():
        return []

    @app.get("/admin", dependencies=[Depends(portcullis.require_role("admin", "monitoring"))])
    def admin():
        return []

    @app.get("/both", dependencies=[Depends(portcullis.require_permission("market:read"))])
    async def both(user: Annotated[Caller, Depends(portcullis.current_user)]):
        return user.user_id

    @app.get("/later")
    async def later(user: Annotated[Caller, Depends(portcullis.current_user)]):
        portcullis.check(user, "trading:place")

    @app.get("/down")
    async def down():
        raise Unavailable("no", 7)

    @app.get("/frozen")
    async def frozen():
        raise Frozen(403, "credentials_frozen", "The owner stopped it.")

    @app.websocket("/ticker")
    async def ticker(
        websocket: WebSocket, user: Annotated[Caller, Depends(portcullis.require_permission("market:read"))]
    ):
        await portcullis.accept(websocket)
        await websocket.send_json({"owner": user.user_id})
        await portcullis.while_good(user, forever(websocket))

    @app.websocket("/first")
    async def first(websocket: WebSocket):
        user = await portcullis.first_message(websocket, "market:read", within=0.2)
        await websocket.send_json({"owner": user.user_id})
        await websocket.close()

    return app


def starlette_app(portcullis):
    may_trade = portcullis.require_permission("trading:place")

    async def me(request):
        user = await portcullis.current_user(request)
        return JSONResponse({"owner": user.user_id, "method": user.method})

    async def orders(request):
        await may_trade(request)
        return JSONResponse([])

    async def ticker(websocket):
        user = await portcullis.require_permission("market:read")(websocket)
        await portcullis.accept(websocket)
        await websocket.send_json({"owner": user.user_id})
        await websocket.close()

    app = Starlette(routes=[Route("/me", me), Route("/orders", orders), WebSocketRoute("/ticker", ticker)])
    portcullis.install(app)
    return app


async def forever(websocket):
    while True:
        await websocket.receive_text()


@pytest.fixture
def client(issuer, clock):
    issuer.api_keys[KEY] = HOLDER
    with TestClient(fastapi_app(Portcullis(verifier_for(issuer, clock), realm="test"))) as client:
        yield client


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def told(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    return response.headers.get("www-authenticate", "")


def test_a_person_and_a_program(client, issuer):
    assert client.get("/me", headers=bearer(issuer.token())).json() == {"owner": USER, "method": "access_token"}
    assert client.get("/me", headers={"authorization": f"bEARER   {issuer.token()}"}).status_code == 200
    assert client.get("/me", headers={"x-api-key": KEY}).json() == {"owner": USER, "method": "api_key"}
    # What proxies and libraries add beside a key says nothing of who calls.
    for beside in ["", "Basic abc"]:
        assert client.get("/me", headers={"x-api-key": KEY, "authorization": beside}).json()["method"] == "api_key"


def test_no_credential_has_a_challenge_without_an_error(client):
    for headers in [{}, {"authorization": ""}, {"authorization": "Basic abc"}, {"x-api-key": ""}]:
        assert told(client.get("/me", headers=headers), 401, "authentication_required") == 'Bearer realm="test"'


def test_each_reason_has_its_description(client, issuer, clock):
    now = int(clock.now())
    descriptions = set()
    for token in [
        issuer.token(iat=now - 900, exp=now - 6),
        issuer.token(nbf=now + 60),
        issuer.token(iss="x"),
        issuer.token(aud="x"),
        issuer.token(header={"typ": "JWT"}),
        issuer.token(header={"alg": "HS256"}),
        issuer.token(header={"kid": "0" * 43}),
        issuer.token()[:-8] + "AAAAAAAA",
        "nonsense",
        "a" * 9000,
        issuer.token(sub=None),
    ]:
        challenge = told(client.get("/me", headers=bearer(token)), 401, "invalid_token")
        found = re.fullmatch(r'Bearer realm="test", error="invalid_token", error_description="([^"\\]+)"', challenge)
        descriptions.add(found[1])
    assert len(descriptions) == 11, descriptions


def test_both_credentials_are_refused(client, issuer):
    response = client.get("/me", headers=bearer(issuer.token()) | {"x-api-key": KEY})
    assert 'error="invalid_request"' in told(response, 400, "bad_request")


def test_a_credential_twice_is_refused(client, issuer):
    good = ("authorization", f"Bearer {issuer.token()}")
    for headers in [[good, good], [good, ("authorization", "Basic x")], [("x-api-key", KEY)] * 2]:
        told(client.get("/me", headers=headers), 400, "bad_request")


def test_a_key_that_is_not_good(client):
    challenge = told(client.get("/me", headers={"x-api-key": "x" * 40}), 401, "invalid_api_key")
    assert 'error_description="the API key is not valid"' in challenge


def test_permissions_by_roles_and_scopes(client, issuer):
    assert client.get("/market", headers=bearer(issuer.token())).status_code == 200
    assert client.get("/market", headers={"x-api-key": KEY}).status_code == 200
    assert client.get("/orders", headers=bearer(issuer.token(roles=["trader"]))).status_code == 200
    challenge = told(client.get("/orders", headers=bearer(issuer.token())), 403, "forbidden")
    assert challenge.endswith('scope="trading:place"') and 'error="insufficient_scope"' in challenge
    issuer.api_keys["y" * 40] = HOLDER | {"roles": ["trader"], "scopes": ["market:read"]}
    refused = client.get("/orders", headers={"x-api-key": "y" * 40})
    assert "scopes of the API key" in told(refused, 403, "forbidden")
    assert "trading:place" in told(client.get("/later", headers=bearer(issuer.token())), 403, "forbidden")


def test_roles_are_for_people(client, issuer):
    assert client.get("/admin", headers=bearer(issuer.token(roles=["monitoring"]))).status_code == 200
    told(client.get("/admin", headers=bearer(issuer.token())), 403, "forbidden")
    issuer.api_keys["y" * 40] = HOLDER | {"roles": ["admin"], "scopes": ["*:*"]}
    told(client.get("/admin", headers={"x-api-key": "y" * 40}), 403, "forbidden")


def test_what_nobody_can_have_is_noticed_at_the_start(issuer, clock):
    portcullis = Portcullis(verifier_for(issuer, clock))
    for broken in [
        lambda: portcullis.require_role("amdin"),
        portcullis.require_role,
        lambda: portcullis.require_permission("trading"),
        portcullis.require_sign_in,
        lambda: portcullis.require_sign_in(acr="aal3"),
        lambda: Portcullis(verifier_for(issuer, clock), realm='"'),
    ]:
        with pytest.raises(ValueError):  # noqa: PT011
            broken()


@pytest.fixture
def sure(issuer, clock):
    issuer.api_keys[KEY] = HOLDER
    portcullis = Portcullis(verifier_for(issuer, clock), realm="test")
    app = FastAPI(dependencies=[Depends(portcullis.require_sign_in(acr="aal2", max_age=300))])
    portcullis.install(app)

    @app.get("/sure")
    def sure_and_fresh():
        return []

    with TestClient(app) as client:
        yield client


def test_a_route_asks_for_a_stronger_or_newer_sign_in(sure, issuer, clock):
    client, now = sure, int(clock.now())
    good = issuer.token(acr="aal2", auth_time=now - 300)
    assert client.get("/sure", headers=bearer(good)).status_code == 200
    assert client.get("/sure", headers=bearer(issuer.token(acr="phr"))).status_code == 200
    for refused in [
        bearer(issuer.token()),
        bearer(issuer.token(acr="aal1")),
        bearer(issuer.token(acr="aal9")),
        bearer(issuer.token(acr="aal2", auth_time=now - 301)),
        {"x-api-key": KEY},
    ]:
        challenge = told(client.get("/sure", headers=refused), 401, "insufficient_user_authentication")
        assert 'error="insufficient_user_authentication"' in challenge
        assert challenge.endswith('acr_values="aal2", max_age="300"')
    told(client.get("/sure", headers=bearer(issuer.token(acr=2))), 401, "invalid_token")


def test_behind_the_edge_the_route_table_asks_for_the_sign_in():
    with pytest.raises(ValueError, match="route table"):
        Portcullis(EdgeProof(EDGE_KEY, "portfolio")).require_sign_in(acr="aal2")


def test_an_outage_is_none_of_the_callers_doing(client, issuer):
    issuer.faults["/v1/auth/.well-known/jwks.json"] = 503
    response = client.get("/me", headers=bearer(issuer.token()))
    assert told(response, 503, "unavailable") == "" and int(response.headers["retry-after"]) >= 1
    response = client.get("/down")
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")
    told(client.get("/frozen"), 403, "credentials_frozen")


def test_without_installation_the_answers_are_those_of_the_framework(issuer, clock):
    portcullis = Portcullis(verifier_for(issuer, clock))
    app = FastAPI()
    app.get("/me")(lambda user=Depends(portcullis.current_user): user.user_id)
    with TestClient(app) as client:
        response = client.get("/me")
    assert (response.status_code, response.json()) == (
        401,
        {"detail": "this request needs an access token or an API key"},
    )
    assert response.headers["www-authenticate"] == 'Bearer realm="portcullis"'


def test_the_document_names_both_credentials(client):
    document = client.get("/openapi.json").json()
    assert document["paths"]["/me"]["get"]["security"] == [{"access_token": []}, {"api_key": []}]
    schemes = document["components"]["securitySchemes"]
    assert schemes["access_token"]["scheme"] == "bearer" and schemes["api_key"]["name"] == "X-API-Key"
    assert "parameters" not in document["paths"]["/me"]["get"]


# WebSockets.


def closed(client, path="/ticker", **named):
    """Return the code with which a WebSocket is closed before it is accepted."""
    session = client.websocket_connect(path, **named)
    with pytest.raises(WebSocketDisconnect) as caught:
        session.__enter__()
        session.__exit__(None, None, None)
    return caught.value.code


def test_a_websocket_with_a_header_a_subprotocol_or_a_key(client, issuer):
    token = issuer.token()
    for named in [
        {"headers": bearer(token)},
        {"headers": {"x-api-key": KEY}},
        {"subprotocols": ["portcullis", f"portcullis.bearer.{token}"]},
    ]:
        with client.websocket_connect("/ticker", **named) as websocket:
            assert websocket.receive_json() == {"owner": USER}
            assert token not in (websocket.accepted_subprotocol or ""), "a token is never echoed"


def test_a_websocket_is_refused_before_it_is_accepted(client, issuer, clock):
    expired = issuer.token(iat=int(START) - 900, exp=int(START) - 6)
    for named in [
        {},
        {"headers": bearer(expired)},
        {"subprotocols": ["portcullis", f"portcullis.bearer.{expired}"]},
        {"subprotocols": ["portcullis"]},
    ]:
        assert closed(client, **named) == 4401
    assert closed(client, headers=bearer(issuer.token(roles=["guest"]))) == 4403
    issuer.faults["/v1/auth/.well-known/jwks.json"] = 503
    assert closed(client, headers=bearer(issuer.token(header={"kid": "1" * 43}))) in (1013, 4401)


def test_two_credentials_of_a_websocket(client, issuer):
    token = issuer.token()
    twice = ["portcullis", f"portcullis.bearer.{token}", f"portcullis.bearer.{token}"]
    assert closed(client, subprotocols=twice) == 4401
    assert closed(client, subprotocols=twice[:2], headers=bearer(token)) == 4401
    assert closed(client, subprotocols=twice[:2], headers={"x-api-key": KEY}) == 4401


def test_a_token_in_the_query_counts_only_where_it_was_chosen(client, issuer, clock):
    token = issuer.token()
    assert closed(client, f"/ticker?token={token}") == 4401
    with TestClient(fastapi_app(Portcullis(verifier_for(issuer, clock), query_token=True))) as chosen:
        with chosen.websocket_connect(f"/ticker?token={token}") as websocket:
            assert websocket.receive_json()
        assert closed(chosen, f"/ticker?token={token}&Token={token}") == 4401
        told_by_query = chosen.get(f"/me?token={token}")
        assert told_by_query.status_code == 401, "of WebSockets alone"


def test_browsers_are_told_the_code_where_that_was_chosen(issuer, clock):
    with TestClient(fastapi_app(Portcullis(verifier_for(issuer, clock), tell_browsers=True))) as client:
        with client.websocket_connect("/ticker", subprotocols=["portcullis"]) as websocket:
            assert websocket.accepted_subprotocol == "portcullis"
            assert websocket.receive()["code"] == 4401


def test_the_first_message_says_who_it_is(client, issuer):
    with client.websocket_connect("/first") as websocket:
        websocket.send_json({"access_token": issuer.token()})
        assert websocket.receive_json() == {"owner": USER}
    for message in ["", "{", "[]", "7", "null", json.dumps({"token": "x"}), json.dumps({"access_token": 7}),
                    json.dumps({"access_token": "x"}), json.dumps({"access_token": "a" * 9000}), "[" * 5000]:  # fmt: skip
        with client.websocket_connect("/first") as websocket:
            websocket.send_text(message)
            assert websocket.receive()["code"] == 4401, message
    with client.websocket_connect("/first") as websocket:
        websocket.send_bytes(b"x")
        assert websocket.receive()["code"] == 4401
    with client.websocket_connect("/first") as websocket:
        websocket.send_json({"access_token": issuer.token(roles=["guest"])})
        assert websocket.receive()["code"] == 4403
    with client.websocket_connect("/first") as websocket:
        assert websocket.receive()["code"] == 4401, "nothing came in time"


def test_a_websocket_ends_with_its_token_and_with_its_session(issuer, clock):
    verifier = verifier_for(issuer, clock, revocations=Revocations(fail_closed=True))
    with TestClient(fastapi_app(Portcullis(verifier))) as client:
        with client.websocket_connect("/ticker", headers=bearer(issuer.token())) as websocket:
            assert websocket.receive_json()
            issuer.revoke_session(SESSION)
            assert websocket.receive() == {"type": "websocket.close", "code": 4401, "reason": "the session has ended"}
        other = issuer.token(session_id="ses_" + "c" * 32, exp=int(clock.now()) + 10)
        with client.websocket_connect("/ticker", headers=bearer(other)) as websocket:
            assert websocket.receive_json()
            assert websocket.receive()["reason"] == "the token has expired"


def test_work_that_ends_by_itself_and_work_that_fails(client, issuer):
    with client.websocket_connect("/ticker", headers=bearer(issuer.token())) as websocket:
        assert websocket.receive_json()
        websocket.close()


# Starlette alone, and the edge.


def test_starlette_without_fastapi(issuer, clock):
    issuer.api_keys[KEY] = HOLDER
    with TestClient(starlette_app(ForStarlette(verifier_for(issuer, clock)))) as client:
        assert client.get("/me", headers=bearer(issuer.token())).json()["owner"] == USER
        assert client.get("/me", headers={"x-api-key": KEY}).json()["method"] == "api_key"
        told(client.get("/me"), 401, "authentication_required")
        assert client.get("/orders", headers=bearer(issuer.token(roles=["trader"]))).status_code == 200
        told(client.get("/orders", headers=bearer(issuer.token())), 403, "forbidden")
        with client.websocket_connect("/ticker", headers=bearer(issuer.token())) as websocket:
            assert websocket.receive_json() == {"owner": USER}
        assert closed(client) == 4401


def send(client, path, raw_headers, method="GET"):
    return client.request(method, path, headers=[(name, value) for name, value in raw_headers])


def test_behind_the_edge(clock):
    portcullis = Portcullis(EdgeProof(EDGE_KEY, "portfolio", clock=clock, seen=SeenHere(clock=clock)))
    identity = {"x-user-id": USER, "x-user-roles": "user", "x-auth-method": "jwt", "x-session-id": SESSION}
    with TestClient(fastapi_app(portcullis)) as client:

        def asked(number, path="/me?a=%20b&c=1,2", **changes):
            return proven(identity | {"x-request-id": f"r-{number}"}, target=path, **changes)

        good = asked(1)
        assert send(client, "/me?a=%20b&c=1,2", good).json() == {"owner": USER, "method": "access_token"}
        told(send(client, "/me?a=%20b&c=1,2", good), 403, "edge_required")
        told(send(client, "/me?a=%20b&c=1,3", asked(2)), 403, "edge_required")
        told(client.get("/me"), 403, "edge_required")
        told(client.get("/me", headers=identity), 403, "edge_required")
        told(send(client, "/market", asked(3, "/market", service="trading")), 403, "edge_required")
        assert send(client, "/market", asked(4, "/market")).status_code == 200
        assert send(client, "/both", asked(41, "/both")).json() == USER, "a request is decided on once"
        told(send(client, "/both", asked(41, "/both")), 403, "edge_required")
        told(send(client, "/orders", asked(5, "/orders")), 403, "forbidden")
        key = identity | {"x-auth-method": "api_key", "x-user-scopes": "portfolio:read", "x-request-id": "r-6"}
        told(send(client, "/market", proven(key, target="/market")), 403, "forbidden")
        told(send(client, "/me", proven({"x-request-id": "r-7"}, target="/me")), 401, "authentication_required")
        with client.websocket_connect(
            "/ticker", headers={n.decode(): v.decode() for n, v in asked(8, "/ticker")}
        ) as websocket:
            assert websocket.receive_json() == {"owner": USER}
        assert closed(client) == 4403


def test_behind_the_edge_a_shared_store_is_asked_in_a_thread(clock):
    asked_in = []

    class Store:
        def is_first(self, proof, seconds):
            asked_in.append(threading.current_thread())
            return len(asked_in) == 1

    portcullis = Portcullis(EdgeProof(EDGE_KEY, "portfolio", clock=clock, seen=Store()))
    app = FastAPI()
    portcullis.install(app)

    @app.get("/me")
    async def me(user: Annotated[Caller, Depends(portcullis.current_user)]):
        return {"owner": user.user_id, "is_loop": threading.current_thread() in asked_in}

    with TestClient(app) as client:
        proof = proven({"x-user-id": USER}, target="/me")
        assert send(client, "/me", proof).json() == {"owner": USER, "is_loop": False}
        told(send(client, "/me", proof), 403, "edge_required")


def test_behind_the_edge_a_websocket_ends_with_its_session_too(issuer, clock):
    watch = verifier_for(issuer, clock, revocations=Revocations(fail_closed=True))
    portcullis = Portcullis(EdgeProof(EDGE_KEY, "portfolio", clock=clock), watch=watch)

    def connect(client, session):
        identity = {"x-user-id": USER, "x-user-roles": "user", "x-auth-method": "jwt", "x-session-id": session}
        headers = {n.decode(): v.decode() for n, v in proven(identity, target="/ticker", time=clock.now())}
        return client.websocket_connect("/ticker", headers=headers)

    other, survivor = "ses_" + "c" * 32, "ses_" + "d" * 32
    with TestClient(fastapi_app(portcullis)) as client:
        with connect(client, SESSION) as websocket:
            assert websocket.receive_json()
            issuer.revoke_session(SESSION)
            assert websocket.receive() == {"type": "websocket.close", "code": 4401, "reason": "the session has ended"}
        with connect(client, other) as websocket, connect(client, survivor) as kept:
            assert websocket.receive_json() and kept.receive_json()
            issuer.revoke_account(USER, 2, survivor=survivor)
            assert websocket.receive()["reason"] == "the session has ended"
            assert kept.receive()["reason"] == "show the credential again", "after a quarter of an hour"


def test_behind_the_edge_without_a_watch_a_websocket_lasts_a_while(clock):
    portcullis = Portcullis(EdgeProof(EDGE_KEY, "portfolio", clock=clock))
    app = FastAPI()

    @app.websocket("/ticker")
    async def ticker(websocket: WebSocket, user: Annotated[Caller, Depends(portcullis.current_user)]):
        await portcullis.accept(websocket)
        await portcullis.while_good(user, forever(websocket), at_most=0.01)

    headers = {n.decode(): v.decode() for n, v in proven({"x-user-id": USER}, target="/ticker")}
    with TestClient(app) as client, client.websocket_connect("/ticker", headers=headers) as websocket:
        assert websocket.receive()["reason"] == "show the credential again"
