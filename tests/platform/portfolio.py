"""What people hold. Reading and writing are permissions of their own; a program needs the scope for it."""

from typing import Annotated

from fastapi import Depends, FastAPI
from portcullis.fastapi import Caller
from pydantic import BaseModel

from sign_in import portcullis_of

app = FastAPI()
portcullis = portcullis_of("portfolio")
portcullis.install(app)
MayRead = Annotated[Caller, Depends(portcullis.require_permission("portfolio:read"))]
MayChange = Annotated[Caller, Depends(portcullis.require_permission("portfolio:change"))]
MayAudit = Annotated[Caller, Depends(portcullis.require_role("admin"))]

HOLDINGS: dict[str, dict[str, int]] = {}


class Holding(BaseModel):
    symbol: str
    quantity: int


@app.get("/v1/portfolio")
async def read(user: MayRead) -> dict[str, object]:
    return {"owner": user.user_id, "holdings": HOLDINGS.get(user.user_id, {"INFY": 10})}


@app.put("/v1/portfolio")
async def change(user: MayChange, holding: Holding) -> dict[str, int]:
    holdings = HOLDINGS.setdefault(user.user_id, {"INFY": 10})
    holdings[holding.symbol] = holding.quantity
    return holdings


@app.get("/v1/portfolio/everybody")
async def everybody(_: MayAudit) -> list[str]:
    return sorted(HOLDINGS)
