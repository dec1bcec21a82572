"""The fake brokers, driven by the official clients: what they take for Kite and Alpaca may stand for them in our tests."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request

import kiteconnect
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient

HERE = pathlib.Path(__file__).resolve().parent
KEY, SECRET = "kitekeyofasha9f3c", "kitesecretofasha-hunter2"
ALPACA = ("PKALPACAKEYOFASHA9F3", "alpacasecretofasha-hunter2")
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


fake = subprocess.Popen([sys.executable, HERE / "brokers/fake.py"], stdout=subprocess.PIPE, text=True)
URL = fake.stdout.readline().strip()
os.environ["NO_PROXY"] = "127.0.0.1,localhost"
try:
    kite()
    alpaca()
    print("kiteconnect and alpaca-py take the fakes for their brokers")
finally:
    fake.kill()
    fake.wait()
