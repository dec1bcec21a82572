"""Kite Connect 3 and Alpaca's trading API on loopback, as far as their public documents say what they do; and the brokers of
`oauth.py`.

    fake.py [port]        prints its address on one line, then serves until it is killed

One port serves all; their paths have nothing in common. What a test decides it decides over `/_control`: a JSON object
with `mode` (how everything is answered from now on), `now` (Unix seconds, or null for the machine's clock), `blocked`
(users whose account the broker has blocked), `back` (where the login pages of Kite and Dhan lead back to), `orders` (how many orders rest
at each broker from now on), and `cancels` (what Alpaca makes of a cancellation: `ok`, `slow`: each order rests for a second
longer, `some`: every fourth is not cancelled, `refuses`, `hangs`, `lost`: done, and nobody is told). Kite takes a cancellation
from `address` alone, by the header `X-Test-Address`, as it does from the addresses that are registered there. `/_log` tells
what was asked, without what was secret about it; `/_orders` which orders there are, and how each ended.
"""

import datetime
import hashlib
import hmac
import http.server
import json
import secrets
import sys
import threading
import time
import urllib.parse
import uuid

from oauth import OAuthBrokers, book

# API key: secret and the user it belongs to.
KITE_APPS = {
    "kitekeyofasha9f3c": ("kitesecretofasha-hunter2", "AB1234"),
    "kitekeyofmallory1": ("kitesecretofmallory", "ZZ9999"),
    # In the examples of the OpenAPI document.
    "kitekeyofexample1": ("kitesecretofexample", "AB1234"),
}
ALPACA_KEYS = {
    "PKALPACAKEYOFASHA9F3": ("alpacasecretofasha-hunter2", "PA3ASHA0001"),
}
INDIA = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
REQUEST_TOKEN_LIVES = 300
LOCK = threading.RLock()
STATE = {"mode": "ok", "now": None, "blocked": [], "back": "https://app.example/kite", "cancels": "ok",
         "address": "203.0.113.7"}
# Of each broker: the id of an order, and what became of it.
ORDERS = {"alpaca": {}, "kite": {}, "upstox": {}, "fyers": {}, "dhan": {}}
# When an order of Alpaca's whose cancellation was asked for is cancelled, in seconds of the machine's clock.
CANCELLED_AT = {}
REQUEST_TOKENS = {}
SESSIONS = {}
LOG = []


def now():
    return time.time() if STATE["now"] is None else STATE["now"]


OAUTH = OAuthBrokers(now, STATE, ORDERS)


def six_in_the_morning(at):
    """When Kite ends a session that begins at this time: the next six o'clock in India."""
    there = datetime.datetime.fromtimestamp(at, INDIA)
    end = there.replace(hour=6, minute=0, second=0, microsecond=0)
    return (end if there < end else end + datetime.timedelta(days=1)).timestamp()


class Refused(Exception):
    def __init__(self, status, kind, message):
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class Broker(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        self.url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(self.url.query))
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length).decode()
        self.form, self.body = dict(urllib.parse.parse_qsl(body)), body
        with LOCK:
            if self.url.path.startswith("/_"):
                return self.control(body)
            LOG.append({"method": self.command, "path": self.url.path})
            mode = STATE["mode"]
        if mode == "ok":
            return self.broker()
        if mode == "hang":
            return time.sleep(60)
        if mode == "down":
            return self.answer(503, b"<html>Service Unavailable</html>", "text/html")
        if mode == "html":
            return self.answer(200, b"<html>maintenance</html>", "text/html")
        if mode == "rate":
            body = {"status": "error", "message": "Too many requests", "error_type": "NetworkException"}
            return self.answer(429, body)
        if mode == "redirect":
            return self.answer(302, b"", location="/_stolen")
        raise AssertionError(mode)

    do_GET = do_POST = do_DELETE = handle_any

    def control(self, body):
        if self.url.path == "/_control":
            change = json.loads(body)
            if (count := change.pop("orders", None)) is not None:
                CANCELLED_AT.clear()
                ORDERS["alpaca"] = {str(uuid.uuid4()): "new" for _ in range(count)}
                ORDERS["kite"] = {f"26112800{number:07}": ("TRIGGER PENDING" if number % 5 == 0 else "OPEN")
                                  for number in range(count)} | {"261128000000999": "COMPLETE"}
                ORDERS.update({broker: book(broker, count) for broker in ("upstox", "fyers", "dhan")})
            STATE.update(change)
            return self.answer(200, {})
        if self.url.path == "/_orders":
            self.carry_out()
            return self.answer(200, ORDERS)
        if self.url.path == "/_log":
            return self.answer(200, LOG)
        LOG.append({"method": self.command, "path": self.url.path})
        return self.answer(200, {})

    def broker(self):
        with LOCK:
            if (said := OAUTH.answer(self)) is not None:
                status, body, headers = said
                return self.answer(status, body, **headers)
            try:
                route = (self.command, self.url.path)
                if route == ("GET", "/connect/login"):
                    return self.kite_login()
                if self.url.path.startswith("/v2/"):
                    return self.alpaca(route)
                if self.headers.get("x-kite-version") != "3":
                    raise Refused(400, "InputException", "Missing or invalid X-Kite-Version header.")
                if route == ("POST", "/session/token"):
                    data = self.kite_exchange()
                elif route == ("GET", "/user/profile"):
                    data = self.kite_profile()
                elif route == ("DELETE", "/session/token"):
                    data = self.kite_logout()
                elif route == ("GET", "/orders"):
                    data = self.kite_orders()
                elif self.command == "DELETE" and self.url.path.startswith("/orders/"):
                    data = self.kite_cancel()
                else:
                    raise Refused(404, "GeneralException", "Route not found")
                return self.answer(200, {"status": "success", "data": data})
            except Refused as refused:
                body = {"status": "error", "message": refused.message, "data": None, "error_type": refused.kind}
                return self.answer(refused.status, body)

    # Kite

    def kite_login(self):
        """The page where people log in; whoever comes here is who the application belongs to."""
        key = self.query.get("api_key")
        if key not in KITE_APPS or self.query.get("v") != "3":
            raise Refused(400, "InputException", "Invalid `api_key`.")
        token = secrets.token_urlsafe(24)
        REQUEST_TOKENS[token] = (key, now() + REQUEST_TOKEN_LIVES)
        more = self.query.get("redirect_params")
        back = f"{STATE['back']}?status=success&request_token={token}" + (f"&{more}" if more else "")
        self.answer(302, b"", location=back)

    def kite_exchange(self):
        key, token, checksum = (self.form.get(name, "") for name in ("api_key", "request_token", "checksum"))
        if key not in KITE_APPS:
            raise Refused(400, "InputException", "Invalid `api_key`.")
        secret, user = KITE_APPS[key]
        expected = hashlib.sha256((key + token + secret).encode()).hexdigest()
        if not hmac.compare_digest(expected, checksum):
            raise Refused(403, "TokenException", "Invalid `checksum`.")
        known = REQUEST_TOKENS.pop(token, None)
        if known is None or known[0] != key or known[1] <= now():
            raise Refused(403, "TokenException", "Token is invalid or has expired.")
        if user in STATE["blocked"]:
            raise Refused(403, "UserException", "Your account is blocked.")
        access = secrets.token_urlsafe(24)
        SESSIONS[access] = (key, user, six_in_the_morning(now()))
        login = datetime.datetime.fromtimestamp(now(), INDIA).strftime("%Y-%m-%d %H:%M:%S")
        return dict(self.profile_of(user), api_key=key, access_token=access, public_token=secrets.token_urlsafe(16),
                    refresh_token="", enctoken="", login_time=login)

    def kite_session(self, key, access):
        session = SESSIONS.get(access)
        if session is None or session[0] != key or session[2] <= now():
            raise Refused(403, "TokenException", "Incorrect `api_key` or `access_token`.")
        return session

    def kite_profile(self):
        scheme, _, pair = self.headers.get("authorization", "").partition(" ")
        key, _, access = pair.partition(":")
        if scheme != "token":
            raise Refused(403, "TokenException", "Incorrect `api_key` or `access_token`.")
        user = self.kite_session(key, access)[1]
        if user in STATE["blocked"]:
            raise Refused(403, "PermissionException", "Insufficient permission for that call.")
        return self.profile_of(user)

    def kite_logout(self):
        access = self.query.get("access_token", "")
        self.kite_session(self.query.get("api_key", ""), access)
        del SESSIONS[access]
        return True

    def kite_caller(self):
        scheme, _, pair = self.headers.get("authorization", "").partition(" ")
        key, _, access = pair.partition(":")
        if scheme != "token":
            raise Refused(403, "TokenException", "Incorrect `api_key` or `access_token`.")
        return self.kite_session(key, access)[1]

    def kite_orders(self):
        self.kite_caller()
        at = datetime.datetime.fromtimestamp(now(), INDIA).strftime("%Y-%m-%d %H:%M:%S")
        return [{"placed_by": "AB1234", "order_id": number, "exchange_order_id": None, "parent_order_id": None,
                 "status": status, "status_message": None, "order_timestamp": at, "exchange_timestamp": None,
                 "variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "instrument_token": 408065,
                 "order_type": "LIMIT", "transaction_type": "BUY", "validity": "DAY", "product": "CNC", "quantity": 1,
                 "disclosed_quantity": 0, "price": 1500, "trigger_price": 0, "average_price": 0, "filled_quantity": 0,
                 "pending_quantity": 1, "cancelled_quantity": 0, "tag": None, "guid": "01"}
                for number, status in ORDERS["kite"].items()]

    def kite_cancel(self):
        """One order at a time, and only from the address that is registered for the application."""
        self.kite_caller()
        if self.headers.get("x-test-address") != STATE["address"]:
            raise Refused(403, "PermissionException", "The request is not from an allowed IP address.")
        number = self.url.path.rsplit("/", 1)[1]
        if ORDERS["kite"].get(number) in (None, "COMPLETE", "CANCELLED", "REJECTED"):
            raise Refused(400, "OrderException", "The order is not open.")
        ORDERS["kite"][number] = "CANCELLED"
        return {"order_id": number}

    @staticmethod
    def profile_of(user):
        return {"user_id": user, "user_type": "individual", "email": f"{user.lower()}@example.com",
                "user_name": "Asha Rao", "user_shortname": "Asha", "broker": "ZERODHA", "exchanges": ["NSE", "BSE"],
                "products": ["CNC", "MIS"], "order_types": ["MARKET", "LIMIT"], "avatar_url": None,
                "meta": {"demat_consent": "consent"}}

    # Alpaca

    @staticmethod
    def carry_out():
        """Cancels what was asked for long enough ago."""
        for number, at in list(CANCELLED_AT.items()):
            if at <= time.time():
                ORDERS["alpaca"][number] = "canceled"
                del CANCELLED_AT[number]

    def alpaca_orders(self, route):
        self.carry_out()
        book = ORDERS["alpaca"]
        resting = [number for number, status in book.items() if status in ("new", "pending_cancel")]
        if route == ("GET", "/v2/orders"):
            limit = min(int(self.query.get("limit", 50)), 500)
            return self.answer(200, [self.alpaca_order(number) for number in resting[:limit]])
        if route != ("DELETE", "/v2/orders"):
            return self.answer(404, {"message": "Not Found"})
        cancels = STATE["cancels"]
        if cancels == "refuses":
            return self.answer(403, {"code": 40310000, "message": "forbidden."})
        answers = []
        for place, number in enumerate(resting):
            if cancels == "some" and place % 4 == 0:
                answers.append({"id": number, "status": 422, "body": {"message": "order is not cancelable"}})
                continue
            book[number] = "pending_cancel"
            CANCELLED_AT[number] = time.time() + (1 if cancels == "slow" else 0)
            answers.append({"id": number, "status": 200})
        if cancels in ("hangs", "lost"):
            # `hangs`: nothing comes of it. `lost`: it is done, and nobody is told.
            if cancels == "hangs":
                for number in list(CANCELLED_AT):
                    book[number] = "new"
                CANCELLED_AT.clear()
            LOCK.release()
            try:
                time.sleep(60)
            finally:
                LOCK.acquire()
            return None
        return self.answer(207, answers)

    @staticmethod
    def alpaca_order(number):
        return {
            "id": number, "client_order_id": number, "created_at": "2026-11-27T15:30:00.000Z",
            "updated_at": "2026-11-27T15:30:00.000Z", "submitted_at": "2026-11-27T15:30:00.000Z", "filled_at": None,
            "expired_at": None, "canceled_at": None, "failed_at": None, "replaced_at": None, "replaced_by": None,
            "replaces": None, "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415", "symbol": "AAPL",
            "asset_class": "us_equity", "notional": None, "qty": "1", "filled_qty": "0", "filled_avg_price": None,
            "order_class": "", "order_type": "limit", "type": "limit", "side": "buy", "time_in_force": "gtc",
            "limit_price": "100", "stop_price": None, "status": ORDERS["alpaca"][number], "extended_hours": False,
            "legs": None, "trail_percent": None, "trail_price": None, "hwm": None}

    def alpaca(self, route):
        key, secret = (self.headers.get(f"apca-api-{name}", "") for name in ("key-id", "secret-key"))
        known = ALPACA_KEYS.get(key)
        if known is None or not hmac.compare_digest(known[0], secret):
            return self.answer(401, {"code": 40110000, "message": "request is not authorized"})
        number = known[1]
        if route == ("GET", "/v2/clock"):
            at = datetime.datetime.fromtimestamp(now(), datetime.timezone.utc).isoformat()
            return self.answer(200, {"timestamp": at, "is_open": False, "next_open": at, "next_close": at})
        if self.url.path == "/v2/orders":
            return self.alpaca_orders(route)
        if route != ("GET", "/v2/account"):
            return self.answer(404, {"message": "Not Found"})
        blocked = number in STATE["blocked"]
        self.answer(200, {
            "id": "904837e3-3b76-47ec-b432-046db621571b", "account_number": number, "status": "ACTIVE",
            "crypto_status": "ACTIVE", "currency": "USD", "buying_power": "262113.632", "cash": "-23140.2",
            "equity": "103820.56", "pattern_day_trader": False, "trading_blocked": blocked,
            "transfers_blocked": False, "account_blocked": blocked, "created_at": "2024-06-12T22:47:07.99658Z",
            "shorting_enabled": True, "multiplier": "2", "trade_suspended_by_user": False})


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Broker)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()
