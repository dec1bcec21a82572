"""What the tests share. Everything about verifiers is tried with threads and with asyncio."""

import asyncio

import httpx
import pytest
from portcullis import AsyncServiceClient, AsyncVerifier, ServiceClient, Verifier

from issuer import AUDIENCE, ISSUER, SERVICE_TOKEN, URL, FakeClock, Issuer


@pytest.fixture(scope="session")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def issuer(clock):
    return Issuer(clock)


class Blocking:
    """An object of asyncio whose methods wait."""

    def __init__(self, wrapped, loop):
        self.wrapped, self.loop = wrapped, loop

    def __getattr__(self, name):
        method = getattr(self.wrapped, name)
        return lambda *given, **named: self.loop.run_until_complete(method(*given, **named))


@pytest.fixture(params=["threads", "asyncio"])
def is_async(request):
    return request.param == "asyncio"


@pytest.fixture
def verifier_of(is_async, loop, issuer, clock):
    common = {"url": URL, "service_token": SERVICE_TOKEN, "clock": clock}

    def make_verifier(**named):
        arguments = common | named
        if is_async:
            client = httpx.AsyncClient(transport=issuer.transport())
            return Blocking(AsyncVerifier(ISSUER, AUDIENCE, client=client, sleep=clock.sleep_async, **arguments), loop)
        client = httpx.Client(transport=issuer.transport())
        return Verifier(ISSUER, AUDIENCE, client=client, sleep=clock.sleep, **arguments)

    return make_verifier


@pytest.fixture
def verifier(verifier_of):
    return verifier_of()


@pytest.fixture
def service_client_of(is_async, loop, clock):
    def build(transport, **named):
        if is_async:
            client = httpx.AsyncClient(transport=transport)
            return Blocking(
                AsyncServiceClient(URL, SERVICE_TOKEN, client=client, sleep=clock.sleep_async, **named), loop
            )
        client = httpx.Client(transport=transport)
        return ServiceClient(URL, SERVICE_TOKEN, client=client, sleep=clock.sleep, **named)

    return build
