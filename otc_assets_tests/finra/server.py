"""A server that behaves as FINRA's Query API does, faults and all.

``python -m otc_assets_tests.finra.server --port 8123`` serves the newest weeks of an invented
world, until it is interrupted. POST /control/publish and POST /control/correct, both with
{"week_ending": "2026-01-02", "tier": "T1"}, change it.
"""

import argparse
import base64
import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from otc_assets_tests.finra.api import Reply, document, partitions, refusal, rows
from otc_assets_tests.finra.faults import Fault, Faults, Situation
from otc_assets_tests.finra.wire import Handler, Request, spoilt
from otc_assets_tests.finra.world import (
    ATS,
    DAYS,
    HISTORIC,
    WEEKLY,
    Number,
    Part,
    World,
    published_on,
)

DATA_OF = "/data/group/otcMarket/name/"
PARTITIONS_OF = "/partitions/group/otcMarket/name/"
DATA, PARTITIONS = DATA_OF + WEEKLY, PARTITIONS_OF + WEEKLY
HISTORIC_DATA, HISTORIC_PARTITIONS = DATA_OF + HISTORIC, PARTITIONS_OF + HISTORIC
TOKEN = "/fip/rest/ews/oauth2/access_token"


def today() -> date:
    """The date where FINRA is."""
    return datetime.now(ZoneInfo("America/New_York")).date()


class FinraServer:
    """The API on a port of this machine, for as long as it is entered."""

    def __init__(
        self,
        world: World,
        *,
        port: int = 0,
        max_limit: int = 5000,
        credentials: tuple[str, str] | None = None,
        is_anonymous_allowed: bool = True,
        is_talkative: bool = False,
    ) -> None:
        """Serve ``world``; with ``credentials`` (id, secret) it gives tokens for them."""
        self.world = world
        self.max_limit = max_limit
        self.credentials = credentials
        self.is_anonymous_allowed = is_anonymous_allowed
        self.is_talkative = is_talkative
        self.today = today()
        """The day that changes from outside bear."""
        self.retry_after_seconds = 1.0
        self.faults = Faults()
        self.requests: list[Request] = []
        self.tokens: dict[str, float] = {}
        """Every token that was given, and when it runs out."""
        self.before_rows: Callable[[Request], None] = lambda request: None
        """Called before a request for data is answered: the world may change in it."""
        self._lock = threading.Lock()
        handler = type("_Handler", (Handler,), {"server_of_finra": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._http.daemon_threads, self._http.block_on_close = True, False
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "FinraServer":
        serve = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        serve.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def asked(self, path: str) -> list[Request]:
        """The requests for a path, in the order in which they came."""
        return [request for request in self.requests if request.url.path == path]

    def expire_tokens(self) -> None:
        """Let every token run out that was given."""
        self.tokens = dict.fromkeys(self.tokens, 0.0)

    def answer(self, request: Request) -> Reply:
        """Answer a request, or let a fault befall it."""
        with self._lock:
            self.requests.append(request)
            path, query = request.url.path, parse_qs(request.url.query)
            if path.startswith("/control/"):
                return self._controlled(path, request.body)
            if path == TOKEN:
                reply, situation = self._token(request, query), Situation("token")
            elif not self._may_ask(request.headers.get("Authorization")):
                return refusal(401, "The access token is missing, wrong or expired")
            elif path.startswith(PARTITIONS_OF) and self._has_set(path):
                set_name = path.removeprefix(PARTITIONS_OF)
                reply, situation = partitions(self.world, set_name), Situation("partitions")
            elif path.startswith(DATA_OF) and self._has_set(path):
                return self._rows(request, query)
            else:
                return refusal(404, f"There is nothing at {path}")
            request.fault = self.faults.befalling(situation)
            return spoilt(reply, request, self.retry_after_seconds)

    def _has_set(self, path: str) -> bool:
        known = (DATA, PARTITIONS, HISTORIC_DATA, HISTORIC_PARTITIONS)
        return path in known or path.rpartition("/")[2] in self.world.others

    def _rows(self, request: Request, arguments: dict[str, list[str]]) -> Reply:
        self.before_rows(request)
        query = request.body
        if request.method == "GET":  # which takes no filters
            query = {k: v[0] for k, v in arguments.items() if k in ("limit", "offset")}
        is_json = "application/json" in request.headers.get("Accept", "")
        ask = partial(rows, self.world, request.url.path.removeprefix(DATA_OF))
        reply = ask(query, self.max_limit, is_json=is_json)
        situation = Situation("data", int(query.get("offset", 0)), reply.rows)
        request.fault = self.faults.befalling(situation)
        if request.fault is Fault.SHORT_PAGE:
            half = query | {"limit": reply.rows // 2}
            short = ask(half, self.max_limit, is_json=is_json)
            return Reply(200, short.body, reply.headers, short.rows)
        return spoilt(reply, request, self.retry_after_seconds)

    def _may_ask(self, authorization: str | None) -> bool:
        if authorization is None:
            return self.is_anonymous_allowed
        return self.tokens.get(authorization.removeprefix("Bearer "), 0) > time.time()

    def _token(self, request: Request, query: dict[str, list[str]]) -> Reply:
        if request.method != "POST" or query.get("grant_type") != ["client_credentials"]:
            return refusal(400, "POST with grant_type=client_credentials")
        login = base64.b64encode(":".join(self.credentials or ()).encode()).decode()
        if not self.credentials or request.headers.get("Authorization") != f"Basic {login}":
            return refusal(401, "Unknown client id, or a wrong secret")
        token, seconds = uuid.uuid4().hex, 12 * 60 * 60
        self.tokens[token] = time.time() + seconds
        return document({"access_token": token, "token_type": "Bearer", "expires_in": str(seconds)})

    def _controlled(self, path: str, body: dict[str, Any]) -> Reply:
        try:
            monday = date.fromisoformat(body["week_ending"]) - timedelta(days=4)
            part = Part(monday, body["tier"])
            if monday.weekday() or part.tier not in DAYS:
                raise ValueError(part)
        except (KeyError, TypeError, ValueError) as error:
            return refusal(400, f"week_ending (a Friday) and tier (T1, T2, OTCE): {error!r}")
        if path == "/control/publish":
            if part in self.world.parts:
                return refusal(409, f"{part} is public")
            self.world.publish(monday, part.tier, min(published_on(part), self.today))
            return document({"published": len(self.world.records(part))})
        chosen = [
            record
            for record in self.world.records(part, body.get("summary_type", ATS))
            if record["issueSymbolIdentifier"]
            == body.get("symbol", record["issueSymbolIdentifier"])
        ]
        if path != "/control/correct" or not chosen:
            return refusal(404, f"Nothing to correct in {part}")
        before = chosen[0]["totalWeeklyShareQuantity"]
        after = Number(Decimal(str(before)) + int(body.get("more_shares", 1000)))
        self.world.correct(chosen[0], self.today, totalWeeklyShareQuantity=after)
        return document({"corrected": chosen[0], "shares_before": before})


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="An API as FINRA's, with invented weeks.")
    day = date.fromisoformat
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--today", type=day, default=today(), help="publish what is due on it")
    parser.add_argument("--first-week", type=day, help="publish from this Friday on, due or not")
    parser.add_argument("--weeks", type=int, default=8, help="how many of each tier")
    parser.add_argument(
        "--historic", type=int, default=0, help="weeks of each that the historic set alone has"
    )
    parser.add_argument("--symbols", type=int, default=200, help="of each tier")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-limit", type=int, default=5000, help="rows in a page")
    parser.add_argument("--faults", type=float, default=0, help="probability of one, 0 to 1")
    return parser.parse_args()


def _published(options: argparse.Namespace) -> World:
    world = World(options.seed, options.symbols)
    this_week = options.today - timedelta(days=options.today.weekday())
    for tier, delay in DAYS.items():
        newest = this_week - timedelta(days=delay)
        if published_on(Part(newest, tier)) > options.today:
            newest -= timedelta(weeks=1)
        first = newest - timedelta(weeks=options.weeks - 1)
        if options.first_week:
            first = options.first_week - timedelta(days=4)
        for number in range(options.weeks):
            monday = first + timedelta(weeks=number)
            part = world.publish(monday, tier, min(published_on(Part(monday, tier)), options.today))
            if number < options.historic:
                world.move(part, HISTORIC)
    return world


def main() -> None:
    """Serve from the command line until interrupted."""
    options = _arguments()
    world = _published(options)
    with FinraServer(
        world, port=options.port, max_limit=options.max_limit, is_talkative=True
    ) as server:
        server.today = options.today
        server.faults.at_random(options.faults, options.seed)
        for part in world.parts:
            friday = part.monday + timedelta(days=4)
            print(f"week ending {friday}, {part.tier}: {len(world.records(part))} records")
        print(f"{server.url} is up; OTC_SOURCE=finra OTC_SOURCE_URL={server.url}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
