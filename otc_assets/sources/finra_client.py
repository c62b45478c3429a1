"""HTTP to FINRA's Query API: one request, repeated until its answer is whole or refused for good.

Retries are tenacity's; `rate` has the limit that all who ask share.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from otc_assets.settings import setting
from otc_assets.sources.dialects import record_texts
from otc_assets.sources.errors import NoSuchSetError, OutageError, SourceError
from otc_assets.sources.rate import RateLimit
from otc_assets.tracing import current

FINRA = "https://api.finra.org"
FINRA_TOKENS = "https://ews.fip.finra.org"
TOKEN_PATH = "/fip/rest/ews/oauth2/access_token?grant_type=client_credentials"
DATA_PATH = "/data/group/otcMarket/name/"
PARTITIONS_PATH = "/partitions/group/otcMarket/name/"
WEEKLY = "weeklySummary"

PAGE_ROWS = 5000
PAGE_BYTES = 3 * 10**6
"""FINRA ends a page after this many bytes, or after its rows."""
MAX_REQUESTS_PER_SECOND = 20
TRANSIENT = {429, 500, 502, 503, 504}
GATEWAYS_OWN = {502, 503, 504}
"""What a gateway answers where FINRA does not."""
ATTEMPTS = 10
"""With the back-off, some three minutes: sporadic faults pass, an outage fails the slice and ends
the run's asking."""
ATTEMPTS_IF_REFUSED = 3
"""A 400 or 403 of a gateway on the way may pass; one of FINRA's own will not."""
MAX_WAIT_SECONDS = 900
"""A server that asks for more patience than this has failed."""

Read = TypeVar("Read")
Observe = Callable[[str, float, int], None]

log = logging.getLogger(__name__)


def finra_address() -> str:
    """Return the address of the Query API: FINRA's own, unless OTC_SOURCE_URL names another."""
    return setting("OTC_SOURCE_URL") if os.environ.get("OTC_SOURCE_URL") else FINRA


def not_observed(_outcome: str, _seconds: float, _received: int) -> None:
    """Let a request pass uncounted."""


class Fault(Exception):
    """An answer that may be better the next time."""

    def __init__(
        self,
        what: str,
        attempts: int = ATTEMPTS,
        retry_after: float = 0,
        *,
        is_answer: bool = True,
    ) -> None:
        """Say what came.

        Args:
            what: names it in the log and in errors.
            attempts: how often to try.
            retry_after: seconds that the server asks to wait.
            is_answer: it came from FINRA itself, and not from the network or a gateway on the way.

        """
        super().__init__(what)
        self.attempts = attempts
        self.retry_after = retry_after
        self.is_answer = is_answer


@dataclass(frozen=True)
class Credentials:
    """OAuth2 client credentials; no representation shows them."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Page:
    """A part of a query's rows: each record as it was written, and the rows of the whole query."""

    records: list[str]
    total: int


def finra_credentials() -> Credentials | None:
    """Return the credentials that are set, None where there are none: anonymous.

    Raises:
        ValueError: one of the two settings lacks.

    """
    client_id, secret = setting("FINRA_CLIENT_ID"), setting("FINRA_CLIENT_SECRET")
    if bool(client_id) != bool(secret):
        raise ValueError("set both FINRA_CLIENT_ID and FINRA_CLIENT_SECRET, or neither")
    return Credentials(client_id, secret) if client_id else None


class FinraClient:
    """Asks the Query API, at no more than a given rate."""

    def __init__(
        self,
        url: str = FINRA,
        credentials: Credentials | None = None,
        *,
        requests_per_second: float = MAX_REQUESTS_PER_SECOND / 2,
        timeout_seconds: float = 60,
        attempts: int = ATTEMPTS,
        first_wait_seconds: float = 0.5,
        observe: Observe = not_observed,
    ) -> None:
        """Ask the API at ``url``, anonymously without ``credentials``.

        ``observe`` is told of each request how it ended (ok, another HTTP status, or network),
        after how many seconds, and how many bytes of an answer came.

        Raises:
            SourceError: no web address, or a rate that FINRA does not allow.

        """
        self.url = url.rstrip("/")
        if not _is_web_address(self.url):
            raise SourceError(url, f"is no address of the Query API, such as {FINRA}")
        if not 0 < requests_per_second <= MAX_REQUESTS_PER_SECOND:
            reason = f"FINRA allows up to {MAX_REQUESTS_PER_SECOND} requests a second"
            raise SourceError("OTC_REQUESTS_PER_SECOND", f"is {requests_per_second}; {reason}")
        self._credentials = credentials
        self._authorization: dict[str, str] = {}
        self._attempts = attempts
        self._observe = observe
        self._rate = RateLimit(requests_per_second)
        self._backoff = wait_exponential_jitter(
            multiplier=first_wait_seconds, max=60, jitter=first_wait_seconds
        )
        self._http = httpx.Client(timeout=timeout_seconds, headers={"Accept": "application/json"})

    def partitions(self, set_name: str = WEEKLY, values: int = 2) -> list[tuple[str, ...]]:
        """Return the partitions that FINRA has of a set: (weekStartDate, tierIdentifier) pairs.

        Args:
            set_name: of FINRA's set.
            values: how many values name a partition; of a set without tiers, the period alone.

        Raises:
            SourceError: refused, or still at fault after the last attempt.

        """

        def read(response: httpx.Response) -> list[tuple[str, ...]]:
            return _parts(response, values)

        what = f"the list of partitions of {set_name}"
        return self._ask("GET", PARTITIONS_PATH + set_name, None, what, read)

    def rows(
        self,
        equal: Mapping[str, str],
        offset: int,
        what: str,
        *,
        expects_rows: bool,
        set_name: str = WEEKLY,
    ) -> Page:
        """Return the rows from ``offset`` on of those whose fields have the values of ``equal``.

        Args:
            equal: field names and values.
            offset: rows to pass by.
            what: names the query in the log and in errors.
            expects_rows: no rows at all are a fault.
            set_name: of FINRA's set.

        Raises:
            SourceError: refused, or still at fault after the last attempt.

        """
        body = {
            "compareFilters": [
                {"compareType": "EQUAL", "fieldName": name, "fieldValue": value}
                for name, value in equal.items()
            ],
            "limit": PAGE_ROWS,
            "offset": offset,
        }

        def read(response: httpx.Response) -> Page:
            page = _page(response)
            if expects_rows and not page.records:
                raise Fault("an empty answer, where there are rows")
            return page

        return self._ask("POST", DATA_PATH + set_name, body, f"{what}, rows from {offset} on", read)

    def patiently(self, attempt: Callable[[], Read], what: str) -> Read:
        """Return what ``attempt`` returns, and try again after each `Fault` while it is worth it.

        Raises:
            OutageError: not one attempt got an answer of FINRA's.
            SourceError: the last attempt was at fault too.

        """
        faults: list[Fault] = []

        def is_enough(state: RetryCallState) -> bool:
            fault = _fault(state)
            faults.append(fault)
            # A refusal after other faults is the first refusal.
            alike = sum(each.attempts == fault.attempts for each in faults)
            too_long = fault.retry_after > MAX_WAIT_SECONDS
            too_often = alike >= fault.attempts
            return too_long or too_often or state.attempt_number >= self._attempts

        def wait(state: RetryCallState) -> float:
            return max(self._backoff(state), _fault(state).retry_after)

        def tell(state: RetryCallState) -> None:
            seconds = state.next_action.sleep if state.next_action else 0
            fault = _fault(state)
            log.warning("FINRA, %s: %s; again in %.1f s", what, fault, seconds)
            current().event(
                "retry", attempt=state.attempt_number, fault=fault, wait_seconds=seconds
            )

        retrying = Retrying(
            retry=retry_if_exception_type(Fault),
            stop=is_enough,
            wait=wait,
            before_sleep=tell,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Fault as fault:
            answered = any(each.is_answer for each in faults)
            error = SourceError if answered else OutageError
            reason = f"{what}: {fault} (attempt {len(faults)}, the last)"
            raise error("FINRA", reason) from fault

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        what: str,
        read: Callable[[httpx.Response], Read],
    ) -> Read:
        return self.patiently(lambda: read(self._answer(method, path, body)), what)

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """Send a request once, or twice if the token has run out, and refuse what is no answer."""
        if self._credentials and not self._authorization:
            self._authorization = self._new_token(self._credentials)
        response = self._send(method, self.url + path, headers=self._authorization, json=body)
        if response.status_code == 401:
            said = _said(response)
            log.warning("%s %s: %s; one more try", method, path, said)
            current().event("retry", attempt=1, fault=said, wait_seconds=0)
            self._authorization = self._new_token(self._credentials) if self._credentials else {}
            response = self._send(method, self.url + path, headers=self._authorization, json=body)
        if response.status_code >= 300:
            _refuse(response)
        return response

    def _new_token(self, credentials: Credentials) -> dict[str, str]:
        host = FINRA_TOKENS if self.url == FINRA else self.url  # a mirror gives its own
        login = httpx.BasicAuth(credentials.client_id, credentials.client_secret)
        response = self._send("POST", host + TOKEN_PATH, auth=login)
        if response.status_code >= 300:
            _refuse(response)
        token = _document(response)
        if not isinstance(token, dict) or not token.get("access_token"):
            raise Fault("an answer without an access_token")
        return {"Authorization": f"Bearer {token['access_token']}"}

    def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        self._rate.wait()
        started, outcome, received = time.monotonic(), "network", 0
        try:
            response = self._http.request(method, url, **options)
            received = response.num_bytes_downloaded
            outcome = "ok" if response.status_code < 300 else str(response.status_code)
            return response
        except httpx.RequestError as error:
            fault = f"{type(error).__name__}: {error}"
            raise Fault(fault, is_answer=not isinstance(error, httpx.TransportError)) from error
        finally:
            self._observe(outcome, time.monotonic() - started, received)


def _is_web_address(url: str) -> bool:
    try:
        address = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return False
    return address.scheme in ("https", "http") and bool(address.host)


def _fault(state: RetryCallState) -> Fault:
    fault = state.outcome.exception() if state.outcome else None
    assert isinstance(fault, Fault)
    return fault


def _refuse(response: httpx.Response) -> None:
    """Raise what an answer of status 300 or more is worth."""
    code, said = response.status_code, _said(response)
    if code in TRANSIENT:
        asked = response.headers.get("Retry-After")
        what = f"{said}; Retry-After: {asked}" if asked else said
        is_answer = code not in GATEWAYS_OWN
        raise Fault(what, retry_after=_retry_after(response), is_answer=is_answer)
    if code == 401:
        raise SourceError("FINRA", f"{said}: check FINRA_CLIENT_ID and FINRA_CLIENT_SECRET")
    if code == 404:
        raise NoSuchSetError("FINRA", f"{response.request.url.path}: {said}")
    raise Fault(said, attempts=ATTEMPTS_IF_REFUSED)


def _said(response: httpx.Response) -> str:
    """Return the status, and FINRA's own message if there is one."""
    said = f"{response.status_code} {response.reason_phrase}".strip()
    try:
        error = response.json()
    except ValueError:
        return said
    if not isinstance(error, dict) or not error.get("message"):
        return said
    request = f" (request {error['requestId']})" if error.get("requestId") else ""
    return f"{said}: {error['message']}{request}"


def _retry_after(response: httpx.Response) -> float:
    """Return the header Retry-After in seconds, which it may hold or a date; 0 without one."""
    text = response.headers.get("Retry-After", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def _document(response: httpx.Response) -> Any:
    kind = response.headers.get("Content-Type", "none").split(";")[0].strip()
    if kind != "application/json":
        raise Fault(f"content type {kind} instead of JSON")
    try:
        return json.loads(response.content.decode())
    except ValueError as error:
        raise Fault(f"truncated or broken JSON ({error})") from None


def _parts(response: httpx.Response, values: int) -> list[tuple[str, ...]]:
    document = _document(response)
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict):
        raise Fault("no list of partitions")
    listed = document.get("availablePartitions") or []  # none: a message and no list
    try:
        parts = [tuple(str(value) for value in each["partitions"]) for each in listed]
        if any(len(part) != values for part in parts):
            raise ValueError(parts)
        return parts
    except (TypeError, KeyError, ValueError):
        raise Fault("a list of partitions of another form") from None


def _page(response: httpx.Response) -> Page:
    if response.status_code == 204 or not response.content:
        return Page([], 0)
    document = _document(response)
    if not isinstance(document, list):
        raise Fault("no array of records")
    if not document:
        return Page([], 0)
    total = response.headers.get("Record-Total", "")
    if not total.isdigit():
        raise Fault("no header Record-Total: whether the rows are all cannot be told")
    return Page(record_texts(response.content.decode()), int(total))
