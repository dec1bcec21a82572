"""Rules that watch prices: set up by people and by programs, each for its own owner."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from portcullis import Frozen, ReauthorisationNeeded
from portcullis.fastapi import Caller
from pydantic import BaseModel

from sign_in import identity, portcullis_of

app = FastAPI()
portcullis = portcullis_of("strategy")
portcullis.install(app)
service = identity()
CurrentUser = Annotated[Caller, Depends(portcullis.current_user)]

RULES: dict[str, list["Rule"]] = {}


class Rule(BaseModel):
    symbol: str
    above: float
    account_id: str | None = None


@app.get("/v1/alerts")
async def read(user: CurrentUser) -> list[Rule]:
    portcullis.check(user, "strategy:read")
    return RULES.get(user.user_id, [])


@app.post("/v1/alerts", status_code=201)
async def add(user: CurrentUser, rule: Rule, request: Request) -> Rule:
    portcullis.check(user, "strategy:read")
    if rule.account_id is not None:
        await must_own(request, rule.account_id)
    RULES.setdefault(user.user_id, []).append(rule)
    return rule


async def must_own(request: Request, account_id: str) -> None:
    """Refuse a trading account that is not the caller's own. With an API key nobody's accounts are listed."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(403, "a rule for a trading account needs an access token")
    if account_id not in {account.account_id for account in await service.trading_accounts(access_token=token)}:
        raise HTTPException(404, "there is no such trading account of yours")


@app.post("/v1/alerts/fire")
async def fire(user: CurrentUser) -> dict[str, str]:
    """Look at the rules now, with the session of the day: this service never sees what lasts longer."""
    portcullis.check(user, "strategy:read")
    outcome: dict[str, str] = {}
    for rule in RULES.get(user.user_id, []):
        try:
            if rule.account_id is not None:
                credentials = await service.credentials(rule.account_id, purpose="alerts")
                credentials.session()
                outcome[rule.symbol] = f"watched with a session of {credentials.broker}"
        except Frozen:
            outcome[rule.symbol] = "stopped: trading is frozen"
        except ReauthorisationNeeded:
            outcome[rule.symbol] = "waits for a login at the broker"
    return outcome
