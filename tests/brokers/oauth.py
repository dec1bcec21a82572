"""Upstox, Fyers and Dhan on loopback, each below a path of its own (`/upstox`, `/fyers`, `/dhan`, `/dhan-auth`), as far as their
public documents and official clients say what they do. `fake.py` serves them.
"""

import base64
import datetime
import hashlib
import hmac
import json
import secrets
import urllib.parse

INDIA = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
CODE_LIVES = 600
DAY = 24 * 60 * 60

# Of each broker: API key, its secret and the user it belongs to.
APPS = {
    "upstox": {"upstoxkeyofasha9f3c": ("upstoxsecretofasha-hunter2", "UP1234")},
    "fyers": {"FYERSOFASHA9F3C-100": ("fyerssecretofasha-hunter2", "FA1234")},
    "dhan": {"dhankeyofasha9f3c": ("dhansecretofasha-hunter2", "1000000001")},
}
# What a resting order, one that waits for its trigger and one that is over are called.
STATUSES = {
    "upstox": ("open", "trigger pending", "complete"),
    "fyers": (6, 4, 2),
    "dhan": ("PENDING", "TRANSIT", "TRADED"),
}


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(str(body))
        self.status, self.body = status, body


def book(broker, count):
    """So many orders that rest, and one that does not."""
    resting, triggered, over = STATUSES[broker]
    orders = {f"26112800{number:07}": triggered if number % 5 == 0 else resting for number in range(count)}
    return orders | ({"261128000000999": over} if count else {})


def part_of_jwt(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


def next_in_india(at, hour, minute):
    there = datetime.datetime.fromtimestamp(at, INDIA)
    end = there.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (end if there < end else end + datetime.timedelta(days=1)).timestamp()


class OAuthBrokers:
    """What was given out by these brokers, and what they say to a request."""

    def __init__(self, now, state, orders):
        self.now, self.state, self.orders = now, state, orders
        self.codes, self.sessions, self.consents = {}, {}, {}

    def answer(self, request):
        """The status, the body and the header fields for a request; None where no broker here has the path."""
        broker, _, path = request.url.path.lstrip("/").partition("/")
        handler = {"upstox": self.upstox, "fyers": self.fyers, "dhan": self.dhan, "dhan-auth": self.dhan_auth}.get(broker)
        if handler is None:
            return None
        try:
            said = handler(request, (request.command, path))
            return said if isinstance(said, tuple) else (200, said, {})
        except Refused as refused:
            return refused.status, refused.body, {}

    # What they have in common

    def led_back(self, broker, request, wrong, name="code"):
        """The page where people log in; whoever comes here is who the application belongs to."""
        key, to = request.query.get("client_id"), request.query.get("redirect_uri")
        if key not in APPS[broker] or not to or request.query.get("response_type") != "code":
            raise Refused(400, wrong)
        code = secrets.token_urlsafe(24)
        if broker == "fyers":
            # It is a JWT there, and longer than keys are.
            code = f"{part_of_jwt({'alg': 'HS256'})}.{part_of_jwt({'code': code, 'pad': 'x' * 300})}.{secrets.token_urlsafe(32)}"
        self.codes[code] = (broker, key, to, self.now() + CODE_LIVES)
        # What stands before the code at Fyers is a status.
        back = {"s": "ok", "code": "200"} if broker == "fyers" else {}
        back |= {name: code} | ({"state": request.query["state"]} if "state" in request.query else {})
        return 302, b"", {"location": f"{to}?{urllib.parse.urlencode(back)}"}

    def redeem(self, broker, code, key, wrong, to=None):
        """A code is good once, whether the exchange succeeds or not."""
        known = self.codes.pop(code, None)
        if known is None or known[:2] != (broker, key) or known[3] <= self.now() or to not in (None, known[2]):
            raise Refused(*wrong)

    def begin(self, broker, key, ends, token=None):
        token = token or secrets.token_urlsafe(32)
        self.sessions[token] = (broker, key, APPS[broker][key][1], ends)
        return token

    def caller(self, broker, token, wrong, key=None):
        session = self.sessions.get(token)
        if session is None or session[0] != broker or session[3] <= self.now() or key not in (None, session[1]):
            raise Refused(401, wrong)
        return session[2]

    # Upstox

    @staticmethod
    def upstox_error(code, message):
        return {"status": "error", "errors": [{"error_code": code, "errorCode": code, "message": message,
                                               "property_path": None, "invalid_value": None}]}

    def upstox(self, request, route):
        error = self.upstox_error
        if route == ("GET", "v2/login/authorization/dialog"):
            return self.led_back("upstox", request, error("UDAPI100068", "Check your 'client_id' and 'redirect_uri'"))
        if route == ("POST", "v2/login/authorization/token"):
            return self.upstox_token(request.form)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        wrong = error("UDAPI100050", "Invalid token used to access API")
        user = self.caller("upstox", token if scheme == "Bearer" else "", wrong)
        if user in self.state["blocked"]:
            raise Refused(403, error("UDAPI100500", "The account is blocked"))
        if route == ("GET", "v2/user/profile"):
            return {"status": "success", "data": self.upstox_profile(user)}
        if route == ("DELETE", "v2/logout"):
            del self.sessions[token]
            return {"status": "success", "data": True}
        if route == ("GET", "v2/order/retrieve-all"):
            return {"status": "success", "data": [{"order_id": number, "status": status, "quantity": 1}
                                                  for number, status in self.orders["upstox"].items()]}
        raise Refused(404, error("UDAPI10000", "This request is not supported by Upstox API"))

    def upstox_token(self, form):
        key = form.get("client_id")
        known = APPS["upstox"].get(key)
        if form.get("grant_type") != "authorization_code":
            raise Refused(400, self.upstox_error("UDAPI100036", "Invalid Input"))
        wrong = (400, self.upstox_error("UDAPI100038", "Invalid input passed to the API"))
        self.redeem("upstox", form.get("code"), key, wrong, to=form.get("redirect_uri"))
        if known is None or not hmac.compare_digest(known[0], form.get("client_secret", "")):
            raise Refused(401, self.upstox_error("UDAPI100016", "Invalid Credentials"))
        token = self.begin("upstox", key, next_in_india(self.now(), 3, 30))
        return dict(self.upstox_profile(known[1]), access_token=token, extended_token=None)

    @staticmethod
    def upstox_profile(user):
        return {"email": f"{user.lower()}@example.com", "exchanges": ["NSE", "BSE"], "products": ["D", "I"], "broker": "UPSTOX",
                "user_id": user, "user_name": "Asha Rao", "order_types": ["MARKET", "LIMIT"], "user_type": "individual",
                "poa": False, "is_active": True}

    # Fyers

    def fyers(self, request, route):
        def error(message):
            return {"s": "error", "code": -1, "message": message}
        if route == ("GET", "generate-authcode"):
            return self.led_back("fyers", request, error("invalid app id"), name="auth_code")
        if route == ("POST", "validate-authcode"):
            return self.fyers_token(json.loads(request.body), error)
        key, _, token = request.headers.get("authorization", "").partition(":")
        user = self.caller("fyers", token, error("Please provide a valid token"), key=key)
        if user in self.state["blocked"]:
            raise Refused(403, error("The account is blocked"))
        if route == ("GET", "profile"):
            return {"s": "ok", "code": 200, "message": "", "data": {"fy_id": user, "name": "Asha Rao", "email_id": "a@example.com"}}
        if route == ("POST", "logout"):
            del self.sessions[token]
            return {"s": "ok", "code": 200, "message": "you are successfully logged out"}
        if route == ("GET", "orders"):
            return {"s": "ok", "code": 200, "message": "", "orderBook": [
                {"id": number, "status": status, "qty": 1} for number, status in self.orders["fyers"].items()]}
        raise Refused(404, error("not found"))

    def fyers_token(self, body, error):
        code = body.get("code", "")
        key = self.codes.get(code, (None, None))[1]
        self.redeem("fyers", code, key, (400, error("invalid auth code")))
        expected = hashlib.sha256(f"{key}:{APPS['fyers'][key][0]}".encode()).hexdigest()
        if body.get("grant_type") != "authorization_code" or not hmac.compare_digest(expected, body.get("appIdHash", "")):
            raise Refused(400, error("invalid app id hash"))
        ends = int(next_in_india(self.now(), 6, 0))
        jwt = f"{part_of_jwt({'alg': 'HS256'})}.{part_of_jwt({'sub': 'access_token', 'exp': ends})}.{secrets.token_urlsafe(32)}"
        return {"s": "ok", "code": 200, "message": "", "access_token": self.begin("fyers", key, ends, jwt), "refresh_token": "x"}

    # Dhan

    @staticmethod
    def dhan_error(code, kind, message):
        return {"errorType": kind, "errorCode": code, "errorMessage": message}

    def dhan_auth(self, request, route):
        wrong = self.dhan_error("DH-901", "Invalid_Authentication", "Client ID or access token is invalid or expired")
        if route == ("GET", "login/consentApp-login"):
            consent = self.consents.pop(request.query.get("consentAppId"), None)
            if consent is None:
                raise Refused(400, wrong)
            token_id = secrets.token_urlsafe(24)
            self.codes[token_id] = ("dhan", consent, "", self.now() + CODE_LIVES)
            # Dhan leads back to the address that is registered for the key.
            return 302, b"", {"location": f"{self.state['back']}?tokenId={token_id}"}
        key = request.headers.get("app_id", "")
        known = APPS["dhan"].get(key)
        if known is None or not hmac.compare_digest(known[0], request.headers.get("app_secret", "")):
            raise Refused(401, wrong)
        if route == ("POST", "app/generate-consent"):
            if request.query.get("client_id") != known[1]:
                raise Refused(401, wrong)
            consent = secrets.token_hex(16)
            self.consents[consent] = key
            return {"consentAppId": consent, "consentAppStatus": "GENERATED", "status": "success"}
        if route in (("GET", "app/consumeApp-consent"), ("POST", "app/consumeApp-consent")):
            self.redeem("dhan", request.query.get("tokenId"), key, (401, wrong))
            ends = self.now() + DAY
            expiry = datetime.datetime.fromtimestamp(ends, INDIA).strftime("%Y-%m-%dT%H:%M:%S")
            return {"dhanClientId": known[1], "dhanClientName": "ASHA RAO", "dhanClientUcc": "ABCD12345E",
                    "givenPowerOfAttorney": False, "accessToken": self.begin("dhan", key, ends), "expiryTime": expiry}
        raise Refused(404, self.dhan_error("DH-910", "Other", "not found"))

    def dhan(self, request, route):
        wrong = self.dhan_error("DH-901", "Invalid_Authentication", "Client ID or access token is invalid or expired")
        user = self.caller("dhan", request.headers.get("access-token", ""), wrong)
        if user in self.state["blocked"]:
            raise Refused(403, self.dhan_error("DH-903", "User_Account", "The account has a problem"))
        if route == ("GET", "v2/profile"):
            return {"dhanClientId": user, "tokenValidity": "30/11/2026 15:37", "activeSegment": "Equity", "ddpi": "Active",
                    "mtf": "Active", "dataPlan": "Active", "dataValidity": "2026-12-05 09:37:52.0"}
        if route == ("GET", "v2/orders"):
            return [{"dhanClientId": user, "orderId": number, "orderStatus": status, "quantity": 1}
                    for number, status in self.orders["dhan"].items()]
        raise Refused(404, self.dhan_error("DH-910", "Other", "not found"))
