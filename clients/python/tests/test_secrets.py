"""What is secret shows itself to nobody who did not ask."""

import copy
import json
import logging
import pickle
import traceback

import pytest
from portcullis import AccessToken, ApiKey, BrokerCredentials, Secret, ServiceClient, Verifier
from portcullis.effects import Request

from issuer import SERVICE_TOKEN, URL

TEXT = "kitesecretofasha"


def test_no_way_of_printing_shows_it(caplog):
    secret = Secret(TEXT)
    logging.getLogger().warning("%s %r %s", secret, secret, f"{secret} {secret:>40} {secret!r} {secret!s}")
    assert "Secret(…)" in caplog.text and TEXT not in caplog.text
    assert TEXT not in repr([secret, {"a": secret}, AccessToken(secret), ApiKey(secret)])
    assert secret.open() == TEXT
    assert not hasattr(secret, "__dict__") and not hasattr(secret, "text")


def test_it_is_not_written_down():
    for write in (pickle.dumps, json.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            write(Secret(TEXT))
    with pytest.raises(TypeError):
        hash(Secret(TEXT))


def test_equality_without_a_hint():
    assert Secret(TEXT) == Secret(TEXT) and Secret(TEXT) != Secret("x") and Secret(TEXT) != TEXT
    assert Secret("x") and not Secret("")


def test_what_carries_secrets_does_not_print_them():
    credentials = BrokerCredentials("acc_1", "kite", "AB1234", Secret("key" + TEXT), Secret(TEXT), Secret(TEXT))
    assert TEXT not in repr(credentials) and "AB1234" in repr(credentials)
    request = Request("POST", URL, {"X-Service-Token": SERVICE_TOKEN}, {"api_key": TEXT})
    assert TEXT not in repr(request) and SERVICE_TOKEN not in repr(request)
    client, verifier = ServiceClient(URL, SERVICE_TOKEN), Verifier(url=URL, service_token=SERVICE_TOKEN)
    assert SERVICE_TOKEN not in repr(vars(client)) + repr(vars(verifier)) + repr(vars(verifier._rules))
    client.close()
    verifier.close()


def test_a_traceback_with_its_variables_does_not_show_it():
    credentials = BrokerCredentials("acc_1", "kite", "AB1234", Secret(TEXT))

    def use():
        held = credentials
        raise RuntimeError(f"cannot use {held}")

    try:
        use()
    except RuntimeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "acc_1" in shown and TEXT not in shown
