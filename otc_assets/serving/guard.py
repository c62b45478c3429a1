"""Who may ask, how often, and what every answer's head says; around the whole app.

Of ASGI itself, since a stream passes through it piece by piece. Belongs here: what is true of every
request. Does not belong here: what a route asks for.
"""

import base64
import hmac
import ipaddress
import logging
import time
from collections import OrderedDict
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otc_assets.serving import measures
from otc_assets.serving.limits import BURST_SECONDS, MAX_CLIENTS, MAX_IN_FLIGHT
from otc_assets.serving.problems import Problem, response

OPEN = ("/health",)
"""What is answered without a token; it says nothing of the data."""
LOCAL = ("localhost", "127.0.0.1", "[::1]")
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of each answer that does not say otherwise."""
log = logging.getLogger(__name__)


class Rates:
    """A token bucket for each client: so many requests a second, and a burst of them."""

    def __init__(self, rate: float) -> None:
        """Allow each client ``rate`` requests a second."""
        self._rate, self._burst = rate, max(1.0, rate * BURST_SECONDS)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str, now: float) -> float:
        """Count a request; return after how many seconds it may come, 0 if it may pass."""
        left, since = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        passes = left >= 1
        self._buckets[client] = (left - 1 if passes else left, now)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - left) / self._rate


class Guard:
    """Lets requests through to an app, and completes the heads of its answers."""

    def __init__(self, app: ASGIApp, token: str, rate: float) -> None:
        """Ask for ``token``, if it is not empty, and allow each client ``rate`` a second."""
        self.app = app
        self._token = token.encode()
        self._rates = Rates(rate)
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        started = time.perf_counter()
        self._in_flight += 1
        try:
            await self._answered(scope, receive, answer)
        finally:
            self._in_flight -= 1
            measures.observe(scope, answer.status, time.perf_counter() - started)

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        scope["otc_authorized"] = self._is_authorized(scope)
        problem = self._refused(scope)
        if problem is None:
            try:
                await self.app(answer.scope, receive, answer)
            except Exception:
                log.exception("while %s was answered", ascii(scope["path"]))
                problem = Problem(500, "an error of the server's own; its log has more")
                if answer.status:  # what has begun can only be cut off
                    return
        if problem is not None:
            await response(problem)(answer.scope, receive, answer)

    def _refused(self, scope: Scope) -> Problem | None:
        wait = self._rates.wait(_client(scope), time.monotonic())
        if wait:
            seconds = {"Retry-After": str(int(wait) + 1)}
            return Problem(429, "too many requests of this client", headers=seconds)
        if self._in_flight > MAX_IN_FLIGHT:
            return Problem(503, "too many requests at the same time", headers={"Retry-After": "1"})
        if not self._token and not _is_local(scope):
            # A page of another site could be made to look like this host, and read the answers.
            return Problem(403, "without a token only this machine's own names are answered")
        if scope["path"] not in OPEN and not scope["otc_authorized"]:
            is_browser = "text/html" in Headers(scope=scope).get("accept", "")
            scheme = "Basic" if is_browser else "Bearer"  # a browser asks for a password
            header = {"WWW-Authenticate": f'{scheme} realm="otc"'}
            return Problem(401, "send the header Authorization: Bearer <token>", headers=header)
        return None

    def _is_authorized(self, scope: Scope) -> bool:
        if not self._token:
            return True
        given = Headers(scope=scope).get("authorization", "")
        scheme, _, sent = given.partition(" ")
        token = _password(sent) if scheme.lower() == "basic" else sent.strip().encode("latin-1")
        is_equal = hmac.compare_digest(token, self._token)
        return scheme.lower() in ("bearer", "basic") and is_equal


class _Answer:
    """Sends an answer, with the headers that all have; of HEAD without its body."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self.status = scope, 0
        self._send = send
        self._is_head = scope["otc_is_head"] = scope["method"] == "HEAD"
        if self._is_head:
            scope["method"] = "GET"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY.items():
                headers.setdefault(name, value)
        elif self._is_head:
            message = {**message, "body": b""}
        await self._send(message)


def _password(credentials: str) -> bytes:
    """Return the password that a browser sends, with whatever name; empty if there is none."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _client(scope: Scope) -> str:
    """Return whose rate a request counts for: of IPv6 the network that one customer has."""
    host: str = (scope.get("client") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def _is_local(scope: Any) -> bool:
    host = Headers(scope=scope).get("host", "").lower()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name in LOCAL
