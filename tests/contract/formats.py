"""What texts of the document's own formats look like, for a reader that makes requests from schemas: no pattern can say it."""

import datetime
import string

import schemathesis
from hypothesis import strategies as some

ROLES = ["guest", "viewer", "user", "trader", "portfolio", "trading", "market", "strategy", "token", "execution", "monitoring"]
SCOPES = ["profile:read", "market:read", "portfolio:read", "trading-account:*", "*:*"]
WORDS = ["copper", "lantern", "drifts", "upstream", "marble", "orchard", "whispers", "northward", "velvet", "harbour"]
SHOWN = string.ascii_letters + string.digits + " .,'-()" + "\u00e9\u00df\u0928\u092e\u5b57"

formats = {
    "email": some.from_regex(r"[a-z0-9]{1,20}@[a-z0-9]{1,20}\.example", fullmatch=True),
    "password": some.lists(some.sampled_from(WORDS), min_size=5, max_size=8, unique=True).map(" ".join),
    "printable": some.text(SHOWN, min_size=1, max_size=100).filter(lambda text: text.strip()),
    "role": some.sampled_from(ROLES),
    "scope": some.sampled_from(SCOPES),
    "broker": some.sampled_from(["alpaca", "alpaca-paper", "dhan", "fyers", "kite", "upstox"]),
    # What a list gave out is known to nobody here; an empty one asks for the first page.
    "cursor": some.just(""),
    "date-time": some.datetimes(datetime.datetime(2030, 1, 1), datetime.datetime(2034, 1, 1)).map(lambda at: f"{at.isoformat()}Z"),
}
for name, texts in formats.items():
    schemathesis.openapi.format(name, texts)
