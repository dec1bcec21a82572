"""Prices over WebSockets, from the broker whose credentials the owner linked, or from another one while that is down."""

import asyncio
import os
import time
from typing import Annotated, Any

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request, WebSocket
from portcullis import BrokerCredentials, Frozen, ReauthorisationNeeded
from portcullis.fastapi import Caller

from sign_in import identity, portcullis_of

BROKER_URL = os.environ["BROKER_URL"]
PAUSE = float(os.environ.get("TICK_PAUSE", "1"))

app = FastAPI()
portcullis = portcullis_of("market")
portcullis.install(app)
service = identity()
broker = httpx.AsyncClient(base_url=BROKER_URL, timeout=2)
MayRead = Annotated[Caller, Depends(portcullis.require_permission("market:read"))]

SUBSCRIPTIONS: dict[str, str] = {}


@app.post("/v1/market/subscriptions/{account_id}", status_code=201)
async def subscribe(user: MayRead, account_id: str, request: Request) -> dict[str, str]:
    """Take prices from this account from now on. Whose it is, the identity service says."""
    own = await service.trading_accounts(access_token=_token(request))
    if account_id not in {account.account_id for account in own}:
        raise HTTPException(404, "there is no such trading account of yours")
    SUBSCRIPTIONS[user.user_id] = account_id
    return {"account_id": account_id}


@app.get("/v1/market/source")
async def source(_: MayRead, request: Request) -> dict[str, object]:
    """Whom prices come from at the moment."""
    found = await service.fallback("kite", "alpaca", access_token=_token(request))
    return {"recommended": found.recommended, "health": {one.name: one.status for one in found.chain}}


@app.websocket("/v1/market/ticks")
async def ticks(websocket: WebSocket, user: MayRead) -> None:
    await portcullis.accept(websocket)
    await portcullis.while_good(user, stream(websocket, SUBSCRIPTIONS.get(user.user_id)))


async def stream(websocket: WebSocket, account_id: str | None) -> None:
    """Send a price after the other, until something stops it; the last message says what."""
    while account_id is not None:
        try:
            credentials = await service.credentials(account_id, purpose="market-stream")
            tick = await price(credentials)
        except Frozen:
            await websocket.send_json({"stopped": "frozen"})
            return await websocket.close(4403, "trading is frozen")
        except ReauthorisationNeeded:
            await websocket.send_json({"stopped": "login_needed"})
            return await websocket.close(4409, "log in at the broker")
        await websocket.send_json(tick)
        await asyncio.sleep(PAUSE)
    await websocket.close(4404, "subscribe first")


async def price(credentials: BrokerCredentials) -> dict[str, Any]:
    """Ask the broker, and report how it did."""
    began = time.monotonic()
    pair = f"{credentials.api_key.open()}:{credentials.session().open()}"
    headers = {"X-Kite-Version": "3", "Authorization": f"token {pair}"}
    try:
        answer = await broker.get("/user/profile", headers=headers)
        error = None if answer.is_success else str(answer.status_code)
    except httpx.TimeoutException:
        error = "timeout"
    except httpx.TransportError:
        error = "unreachable"
    milliseconds = 1000 * (time.monotonic() - began)
    await service.report_outcome(credentials.broker, ok=error is None, response_time_ms=milliseconds, error=error)
    return {"error": error} if error else {"symbol": "INFY", "source": credentials.broker}


def _token(request: Request) -> str:
    """The caller's own token, for questions in the caller's name."""
    return request.headers["authorization"].partition(" ")[2]
