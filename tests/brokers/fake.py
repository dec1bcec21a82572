"""Kite Connect 3 and Alpaca's trading API on loopback, as far as their public documents say what they do.

    fake.py [port]        prints its address on one line, then serves until it is killed

One port serves both; their paths have nothing in common. What a test decides it decides over `/_control`: a JSON object
with `mode` (how everything is answered from now on), `now` (Unix seconds, or null for the machine's clock), `blocked`
(users whose account the broker has blocked), and `back` (where Kite's login page leads back to). `/_log` tells what was asked,
without what was secret about it.
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
STATE = {"mode": "ok", "now": None, "blocked": [], "back": "https://app.example/kite"}
REQUEST_TOKENS = {}
SESSIONS = {}
LOG = []


def now():
    return time.time() if STATE["now"] is None else STATE["now"]


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
        self.form = dict(urllib.parse.parse_qsl(body))
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
            STATE.update(json.loads(body))
            return self.answer(200, {})
        if self.url.path == "/_log":
            return self.answer(200, LOG)
        LOG.append({"method": self.command, "path": self.url.path})
        return self.answer(200, {})

    def broker(self):
        with LOCK:
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

    @staticmethod
    def profile_of(user):
        return {"user_id": user, "user_type": "individual", "email": f"{user.lower()}@example.com",
                "user_name": "Asha Rao", "user_shortname": "Asha", "broker": "ZERODHA", "exchanges": ["NSE", "BSE"],
                "products": ["CNC", "MIS"], "order_types": ["MARKET", "LIMIT"], "avatar_url": None,
                "meta": {"demat_consent": "consent"}}

    # Alpaca

    def alpaca(self, route):
        key, secret = (self.headers.get(f"apca-api-{name}", "") for name in ("key-id", "secret-key"))
        known = ALPACA_KEYS.get(key)
        if known is None or not hmac.compare_digest(known[0], secret):
            return self.answer(401, {"code": 40110000, "message": "request is not authorized"})
        number = known[1]
        if route == ("GET", "/v2/clock"):
            at = datetime.datetime.fromtimestamp(now(), datetime.timezone.utc).isoformat()
            return self.answer(200, {"timestamp": at, "is_open": False, "next_open": at, "next_close": at})
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
