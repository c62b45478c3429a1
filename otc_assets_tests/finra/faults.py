"""What goes wrong at FINRA, one by one or at random, and the log of what did."""

import random
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """One thing that an answer can have wrong."""

    TOO_MANY_SECONDS = "429, Retry-After in seconds"
    TOO_MANY_DATE = "429, Retry-After as a date"
    SERVER_ERROR = "500"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    HANGS = "no answer at all"
    RESET = "connection reset"
    CUT_BODY = "fewer bytes than Content-Length"
    CUT_JSON = "JSON cut off"
    HTML = "a page for people, with 200"
    WRONG_TYPE = "JSON with another content type"
    EXPIRED = "401"
    FORBIDDEN = "403"
    BAD_REQUEST = "400"
    SHORT_PAGE = "a short page in the middle"
    EMPTY_PAGE = "an empty page in the middle"
    OTHER_TOTAL = "a total that changes while paging"
    EMPTY_SLICE = "204 for a slice that exists"


STATUS = {
    Fault.TOO_MANY_SECONDS: 429,
    Fault.TOO_MANY_DATE: 429,
    Fault.SERVER_ERROR: 500,
    Fault.BAD_GATEWAY: 502,
    Fault.UNAVAILABLE: 503,
    Fault.GATEWAY_TIMEOUT: 504,
    Fault.EXPIRED: 401,
    Fault.FORBIDDEN: 403,
    Fault.BAD_REQUEST: 400,
}
NEED_A_BODY = {Fault.CUT_BODY, Fault.CUT_JSON, Fault.WRONG_TYPE}
IN_THE_MIDDLE = {Fault.SHORT_PAGE, Fault.EMPTY_PAGE, Fault.OTHER_TOTAL}


@dataclass(frozen=True)
class Situation:
    """What a request asks for, as far as it matters for what can go wrong."""

    asks: str
    """data, partitions or token."""
    offset: int = 0
    rows: int = 0
    """Those of the right answer."""

    def allows(self, fault: Fault) -> bool:
        """Tell whether the fault can befall this request, and be seen."""
        if fault in IN_THE_MIDDLE:
            least = 2 if fault is Fault.SHORT_PAGE else 1
            return self.offset > 0 and self.rows >= least
        if fault is Fault.EMPTY_SLICE:
            return self.asks == "data" and self.offset == 0 and self.rows > 0
        if fault in NEED_A_BODY:
            return self.asks != "data" or self.rows > 0
        if fault is Fault.EXPIRED:
            return self.asks != "token"
        return True


class Faults:
    """Which fault befalls which request."""

    def __init__(self) -> None:
        """No fault at all."""
        self.served: list[Fault] = []
        self._coming: deque[Fault] = deque()
        self._always: dict[str, Fault] = {}
        self._probability = 0.0

    def next(self, *faults: Fault) -> None:
        """Serve each once, in this order, to the next request that it can befall."""
        self._coming.extend(faults)

    def always(self, fault: Fault, asks: str = "data") -> None:
        """Serve it to every request for something that it can befall."""
        self._always[asks] = fault

    def at_random(self, probability: float, seed: int, faults: Iterable[Fault] = Fault) -> None:
        """Serve any of them, each request with the same probability."""
        self._probability, self._kinds = probability, list(faults)
        self._random = random.Random(seed)

    def stop(self) -> None:
        """Serve no more faults."""
        self._coming.clear()
        self._always.clear()
        self._probability = 0.0

    def counted(self) -> Counter[Fault]:
        """How often each was served."""
        return Counter(self.served)

    def befalling(self, situation: Situation) -> Fault | None:
        """Choose the fault of a request, and remember it."""
        fault = self._chosen(situation)
        if fault:
            self.served.append(fault)
        return fault

    def _chosen(self, situation: Situation) -> Fault | None:
        if self._coming:
            return self._coming.popleft() if situation.allows(self._coming[0]) else None
        always = self._always.get(situation.asks)
        if always and situation.allows(always):
            return always
        if self._probability and self._random.random() < self._probability:
            return self._random.choice([f for f in self._kinds if situation.allows(f)])
        return None
