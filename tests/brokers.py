"""The fake brokers, driven by the official clients: what they take for their brokers may stand for them in our tests."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from unittest import mock

import kiteconnect
import requests
import upstox_client
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderStatus, QueryOrderStatus
from alpaca.trading.requests import GetOrdersRequest
from dhanhq import DhanContext, DhanLogin, dhanhq
from dhanhq.dhan_http import DhanHTTP
from fyers_apiv3 import fyersModel
from upstox_client.rest import ApiException

HERE = pathlib.Path(__file__).resolve().parent
KEY, SECRET = "kitekeyofasha9f3c", "kitesecretofasha-hunter2"
ALPACA = ("PKALPACAKEYOFASHA9F3", "alpacasecretofasha-hunter2")
UPSTOX = ("upstoxkeyofasha9f3c", "upstoxsecretofasha-hunter2")
FYERS = ("FYERSOFASHA9F3C-100", "fyerssecretofasha-hunter2")
DHAN = ("dhankeyofasha9f3c", "dhansecretofasha-hunter2", "1000000001")
BACK = "https://app.example/broker-callback"
# Half past three in the morning in India, where Upstox ends its sessions.
HALF_PAST_THREE = 1795298400
# Half past ten in the evening in India on 21 November 2026; the session ends at six the next morning.
EVENING, MORNING = 1795280400, 1795307400


def control(**changes):
    request = urllib.request.Request(URL + "/_control", json.dumps(changes).encode(), method="POST")
    urllib.request.urlopen(request).close()


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def login():
    """What the browser is led back with after a login at Kite."""
    page = kiteconnect.KiteConnect(KEY, root=URL).login_url()
    query = urllib.parse.urlsplit(page).query
    answer = requests.get(f"{URL}/connect/login?{query}", allow_redirects=False)
    back = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.headers["location"]).query)
    return back["request_token"][0]


def kite():
    control(now=EVENING, mode="ok", blocked=[])
    client = kiteconnect.KiteConnect(KEY, root=URL)
    token_error, input_error = kiteconnect.exceptions.TokenException, kiteconnect.exceptions.InputException
    refused(token_error, client.profile)
    request_token = login()
    # A secret that does not fit does not use the token up.
    assert "checksum" in str(refused(token_error, lambda: client.generate_session(request_token, "wrong")))
    session = client.generate_session(request_token, SECRET)
    assert session["user_id"] == "AB1234" and session["login_time"].hour == 22, session
    refused(token_error, lambda: client.generate_session(request_token, SECRET))
    refused(input_error, lambda: kiteconnect.KiteConnect("unknown", root=URL).generate_session(login(), SECRET))
    refused(token_error, lambda: client.generate_session("made-up", SECRET))
    assert client.profile()["user_id"] == "AB1234"

    late = login()
    control(now=EVENING + 600)
    refused(token_error, lambda: client.generate_session(late, SECRET))
    control(now=MORNING - 1)
    assert client.profile()["email"]
    control(now=MORNING)
    assert refused(token_error, client.profile).code == 403

    control(now=EVENING)
    client.generate_session(login(), SECRET)
    control(blocked=["AB1234"])
    refused(kiteconnect.exceptions.PermissionException, client.profile)
    control(blocked=[])
    assert client.invalidate_access_token() is True
    refused(token_error, client.profile)
    control(mode="rate")
    assert refused(kiteconnect.exceptions.NetworkException, client.profile).code == 429
    control(mode="down")
    refused(kiteconnect.exceptions.DataException, client.profile)
    control(mode="ok")


def alpaca():
    account = TradingClient(*ALPACA, url_override=URL).get_account()
    assert account.account_number == "PA3ASHA0001" and account.account_blocked is False, account
    assert TradingClient(*ALPACA, url_override=URL).get_clock().is_open is False
    error = refused(APIError, TradingClient(ALPACA[0], "wrong", url_override=URL).get_account)
    assert error.status_code == 401 and error.code == 40110000
    control(blocked=["PA3ASHA0001"])
    assert TradingClient(*ALPACA, url_override=URL).get_account().account_blocked is True
    control(mode="down")
    assert refused(APIError, TradingClient(*ALPACA, url_override=URL).get_account).status_code == 503
    control(mode="ok", blocked=[])


def orders():
    """What a freeze makes of resting orders, as the official clients see and cancel them."""
    control(now=EVENING, mode="ok", blocked=[], orders=100, cancels="ok")
    client = TradingClient(*ALPACA, url_override=URL)
    open_orders = GetOrdersRequest(status=QueryOrderStatus.OPEN, limit=500)
    assert len(client.get_orders(open_orders)) == 100
    cancelled = client.cancel_orders()
    assert len(cancelled) == 100 and all(answer.status == 200 for answer in cancelled), cancelled[:2]
    assert client.get_orders(open_orders) == []
    control(orders=8, cancels="some")
    assert sorted({answer.status for answer in client.cancel_orders()}) == [200, 422]
    assert len(client.get_orders(open_orders)) == 2
    control(orders=3, cancels="slow")
    client.cancel_orders()
    assert {order.status for order in client.get_orders(open_orders)} == {OrderStatus.PENDING_CANCEL}
    control(cancels="refuses")
    assert refused(APIError, client.cancel_orders).status_code == 403

    control(orders=10, cancels="ok")
    kite_client = kiteconnect.KiteConnect(KEY, root=URL)
    kite_client.generate_session(login(), SECRET)
    book = kite_client.orders()
    assert len(book) == 11 and {order["status"] for order in book} == {"OPEN", "TRIGGER PENDING", "COMPLETE"}
    first = book[0]["order_id"]
    # From anywhere but the registered address no order is cancelled.
    refused(kiteconnect.exceptions.PermissionException, lambda: kite_client.cancel_order("regular", first))
    kite_client.reqsession.headers["x-test-address"] = "203.0.113.7"
    assert kite_client.cancel_order("regular", first) == first
    assert refused(kiteconnect.exceptions.OrderException, lambda: kite_client.cancel_order("regular", first)).code == 400
    assert [order["status"] for order in kite_client.orders()].count("CANCELLED") == 1
    control(orders=0)


def led_back(page):
    """The query of the address that a browser is led back to after a login."""
    answer = requests.get(page, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(answer.headers["location"]).query))


def upstox():
    control(now=EVENING, mode="ok", blocked=[], orders=10)
    configuration = upstox_client.Configuration()
    configuration.host = URL + "/upstox"
    api = upstox_client.ApiClient(configuration)
    login = upstox_client.LoginApi(api)
    query = urllib.parse.urlencode({"response_type": "code", "client_id": UPSTOX[0], "redirect_uri": BACK, "state": "s"})

    def code():
        back = led_back(f"{URL}/upstox/v2/login/authorization/dialog?{query}")
        assert back["state"] == "s"
        return back["code"]

    def token(code, secret=UPSTOX[1], to=BACK):
        return login.token("2.0", code=code, client_id=UPSTOX[0], client_secret=secret, redirect_uri=to,
                           grant_type="authorization_code")

    first = code()
    assert refused(ApiException, lambda: token(first, secret="wrong")).status == 401
    # A code is good once, whether the exchange succeeds or not.
    assert refused(ApiException, lambda: token(first)).status == 400
    assert refused(ApiException, lambda: token(code(), to="https://evil.example")).status == 400
    session = token(code())
    assert session.user_id == "UP1234", session
    configuration.access_token = session.access_token
    user = upstox_client.UserApi(api)
    assert user.get_profile("2.0").data.user_id == "UP1234"
    orders = upstox_client.OrderApi(api).get_order_book("2.0").data
    assert {order.status for order in orders} == {"open", "trigger pending", "complete"} and len(orders) == 11
    control(now=HALF_PAST_THREE - 1)
    assert user.get_profile("2.0").data.is_active is True
    control(now=HALF_PAST_THREE)
    error = refused(ApiException, lambda: user.get_profile("2.0"))
    assert error.status == 401 and json.loads(error.body)["errors"][0]["error_code"] == "UDAPI100050"
    control(now=EVENING)
    configuration.access_token = token(code()).access_token
    assert login.logout("2.0").data is True
    assert refused(ApiException, lambda: user.get_profile("2.0")).status == 401


def fyers():
    control(now=EVENING, mode="ok", blocked=[], orders=10)
    with mock.patch.object(fyersModel.Config, "API", URL + "/fyers"), tempfile.TemporaryDirectory() as logs:
        def session(secret=FYERS[1]):
            login = fyersModel.SessionModel(client_id=FYERS[0], secret_key=secret, redirect_uri=BACK, response_type="code",
                                            state="s", grant_type="authorization_code")
            back = led_back(login.generate_authcode())
            assert back["state"] == "s"
            login.set_token(back["auth_code"])
            return login

        assert session("wrong").generate_token()["s"] == "error"
        login = session()
        answer = login.generate_token()
        assert answer["s"] == "ok" and login.generate_token()["s"] == "error", answer
        model = fyersModel.FyersModel(client_id=FYERS[0], token=answer["access_token"], log_path=logs)
        assert model.get_profile()["data"]["fy_id"] == "FA1234"
        book = model.orderbook()["orderBook"]
        assert len(book) == 11 and {order["status"] for order in book} == {6, 4, 2}
        control(now=MORNING)
        assert model.get_profile()["s"] == "error"
        control(now=EVENING)
        assert model.logout()["s"] == "ok" and model.get_profile()["s"] == "error"


def dhan():
    control(now=EVENING, mode="ok", blocked=[], orders=10)
    key, secret, client = DHAN
    addresses = [mock.patch.object(DhanLogin, "AUTH_BASE_URL", URL + "/dhan-auth"),
                 mock.patch.object(DhanLogin, "API_BASE_URL", URL + "/dhan/v2"),
                 mock.patch.object(DhanHTTP, "API_BASE_URL", URL + "/dhan/v2")]
    for address in addresses:
        address.start()
    with mock.patch("webbrowser.open") as opened:
        login = DhanLogin(client)
        refused(Exception, lambda: login.generate_login_session(key, "wrong"))
        login.generate_login_session(key, secret)
        page = opened.call_args.args[0]
    token_id = led_back(page)["tokenId"]
    refused(Exception, lambda: login.consume_token_id(token_id, key, "wrong"))
    session = login.consume_token_id(token_id, key, secret)
    assert session["dhanClientId"] == client, session
    refused(Exception, lambda: login.consume_token_id(token_id, key, secret))
    assert login.user_profile(session["accessToken"])["dhanClientId"] == client
    model = dhanhq(DhanContext(client, session["accessToken"]))
    book = model.get_order_list()
    assert book["status"] == "success" and len(book["data"]) == 11, book
    control(now=EVENING + 24 * 60 * 60)
    assert model.get_order_list()["remarks"]["error_code"] == "DH-901"
    for address in addresses:
        address.stop()


fake = subprocess.Popen([sys.executable, HERE / "brokers/fake.py"], stdout=subprocess.PIPE, text=True)
URL = fake.stdout.readline().strip()
os.environ["NO_PROXY"] = "127.0.0.1,localhost"
try:
    kite()
    alpaca()
    orders()
    upstox()
    fyers()
    dhan()
    control(orders=0)
    print("kiteconnect, alpaca-py, upstox-python-sdk, fyers-apiv3 and dhanhq take the fakes for their brokers")
finally:
    fake.kill()
    fake.wait()
