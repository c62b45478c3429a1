"""One question, and how it is answered: what all routes share.

The order is what makes an answer that the client has already cost nothing: first what it depends
on, then its ETag, and only then its rows.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cached_property
from itertools import chain
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from otc_assets.domain.weeks import WeekKey
from otc_assets.research.arguments import asked_of
from otc_assets.research.export import ABOUT
from otc_assets.research.knowledge import no_symbol
from otc_assets.research.state import State, state_of
from otc_assets.research.symbols import all_symbols
from otc_assets.serving.arguments import (
    FORMATS,
    ROWS,
    Cursor,
    DatasetName,
    Format,
    Limit,
    dataset_of,
    only_known,
)
from otc_assets.serving.formats import body_of, format_of
from otc_assets.serving.limits import MAX_ROWS, SEND_BYTES
from otc_assets.serving.paging import Page, Part, Place, decoded, encoded, page_of
from otc_assets.serving.problems import Problem
from otc_assets.serving.stores import store_asked
from otc_assets.warehouse.events import code_version
from otc_assets.warehouse.store import Store

SMALL = 1_000
"""Bytes that are not worth compressing."""
PAGING = ("cursor", "limit", "format")
"""Arguments that do not change the question."""
TERMS = {name: ABOUT[name] for name in ("source", "attribution", "licence")}


class Ask:
    """What a request asks for, beside the arguments of its route."""

    def __init__(
        self,
        request: Request,
        dataset: DatasetName = "ats",
        format: Format = None,
        limit: Limit = ROWS,
        cursor: Cursor = None,
    ) -> None:
        """Check the arguments that all routes share; the store is opened when it is needed."""
        only_known(request)
        self.request = request
        self.dataset = dataset_of(dataset)
        self.kind = format_of(request, format)
        self.limit = min(limit, MAX_ROWS)
        self.start: Place | None = decoded(self._question, cursor) if cursor is not None else None
        self.warnings: list[str] = []

    @property
    def _question(self) -> str:
        """The path and the arguments, without those that say which part is sent how."""
        asked = [(n, v) for n, v in self.request.query_params.multi_items() if n not in PAGING]
        return f"{self.request.url.path}?{urlencode(sorted(asked), errors='replace')}"

    @cached_property
    def store(self) -> Store:
        """The store of the dataset, which has content."""
        return store_asked(self.dataset)

    @cached_property
    def state(self) -> State:
        """How its slices stand."""
        return state_of(self.store)

    def slices(
        self, tiers: list[str] | None, weeks: list[date] | None, day: date | None = None
    ) -> list[WeekKey]:
        """Return the slices that are asked for and have content, of those known by a day."""
        known = self.state.known
        asked = [*known] if tiers is None and weeks is None else asked_of(known, tiers, weeks)
        return asked if day is None else [week for week in asked if known[week] <= day]

    def known(self, symbols: list[str] | None) -> list[str] | None:
        """Return the symbols that the store has in some week; the answer warns of the others."""
        if symbols is None:
            return None
        there = all_symbols(self.store, self.state)
        self.warnings += [no_symbol(each, there) for each in symbols if each not in there]
        return [each for each in dict.fromkeys(symbols) if each in there]

    def answer(
        self,
        parts: Sequence[Part],
        key: Sequence[str],
        *,
        depends: bytes,
        as_of: date | None = None,
        select: Callable[[Page], Page] = lambda page: page,
    ) -> Response:
        """Answer with a page of rows, or with 304 if the client has it.

        Args:
            parts: the rows, in parts.
            key: what identifies a row in a part, in the order of which they are.
            depends: what the rows depend on, beside the question.
            as_of: the day of knowledge (default: the newest that the store knows of).
            select: what becomes of the page's rows.

        """
        as_of = as_of or self.state.newest_day
        etag = self._etag(depends + str(as_of).encode())
        if self._has(etag):
            return Response(None, 304, self._validators(etag))
        page = select(page_of(parts, key, self.start, self.limit))
        meta = self._meta(as_of, page)
        body = body_of(self.kind, page.rows, meta)
        headers = self._headers(meta) | self._validators(etag)
        if self._takes_gzip and len(body) > SMALL:
            body = gzip.compress(body, 1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        return Paced(body, headers=headers, media_type=FORMATS[self.kind])

    def stream(self, start: Callable[[], Iterator[bytes]], *, depends: bytes) -> Response:
        """Answer with all rows, as they are read."""
        etag = self._etag(depends)
        headers = self._validators(etag)
        if self._has(etag):
            return Response(None, 304, headers)
        headers |= self._headers(self._meta(self.state.newest_day, None))
        media_type = FORMATS[self.kind]
        if self.request.scope["otc_is_head"]:
            return Response(None, headers=headers, media_type=media_type)
        chunks = start()
        # The first at once: what cannot be read is told by the status.
        body = chain([next(chunks)], chunks)
        return StreamingResponse(body, headers=headers, media_type=media_type)

    def _meta(self, as_of: date | None, page: Page | None) -> dict[str, Any]:
        meta: dict[str, Any] = {"dataset": self.dataset, "as_of": as_of and as_of.isoformat()}
        if page is not None:
            following = page.following and encoded(self._question, page.following)
            meta |= {"rows": len(page.rows), "next": following}
        return meta | {"warnings": self.warnings} | TERMS

    def _headers(self, meta: dict[str, Any]) -> dict[str, str]:
        """Return the same for formats that have no place for it."""
        headers = {f"OTC-{name.title()}": text for name, text in TERMS.items()}
        headers |= {"OTC-Dataset": self.dataset, "OTC-As-Of": meta["as_of"] or ""}
        if following := meta.get("next"):
            query = [(n, v) for n, v in self.request.query_params.multi_items() if n != "cursor"]
            url = f"{self.request.url.path}?{urlencode([*query, ('cursor', following)])}"
            headers |= {"OTC-Next": following, "Link": f'<{url}>; rel="next"'}
        if self.warnings:
            headers["OTC-Warnings"] = json.dumps(self.warnings)  # in ASCII, whatever was asked
        return headers

    @property
    def _takes_gzip(self) -> bool:
        is_packed = self.kind == "parquet"
        return not is_packed and "gzip" in self.request.headers.get("accept-encoding", "")

    def _etag(self, depends: bytes) -> str:
        """Return a strong one: of all that the bytes of an answer depend on."""
        sent = (self.request.url.path, self.request.url.query, self.kind, str(self._takes_gzip))
        found = hashlib.blake2b(depends, digest_size=16)
        found.update(repr((*sent, code_version())).encode())
        return f'"{found.hexdigest()}"'

    def _has(self, etag: str) -> bool:
        named = self.request.headers.get("if-none-match", "")
        return named.strip() == "*" or etag in [
            each.strip().removeprefix("W/") for each in named.split(",")
        ]

    def _validators(self, etag: str) -> dict[str, str]:
        vary = "Accept, Accept-Encoding, Authorization"
        return {"ETag": etag, "Vary": vary, "Cache-Control": "private, no-cache"}


class Paced(Response):
    """A body that is sent in pieces, so that of a slow client only one piece waits in buffers."""

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        """Send it."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        body = memoryview(self.body)
        for start in range(0, max(len(body), 1), SEND_BYTES):
            piece = bytes(body[start : start + SEND_BYTES])
            more = start + SEND_BYTES < len(body)
            await send({"type": "http.response.body", "body": piece, "more_body": more})


Asked = Depends(Ask)


def by_slice(weeks: Sequence[WeekKey], read: Callable[[WeekKey], pd.DataFrame]) -> list[Part]:
    """Return a part for each slice, tier by tier, the oldest week first."""
    return [Part(str(week), lambda week=week: read(week)) for week in weeks]  # type: ignore[misc]


def at_once(read: Callable[[], pd.DataFrame]) -> list[Part]:
    """Return one part of all rows."""
    return [Part("", read)]


def refuse(detail: str, argument: str) -> Problem:
    """Return the problem of an argument that is wrong."""
    return Problem(422, detail, argument)
