"""The explorer's routes: each reads its URL, asks a view for its facts, and renders them."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from pydantic import BeforeValidator

from otc_assets.explorer import coverage as coverage_view
from otc_assets.explorer import home as home_view
from otc_assets.explorer import search as search_view
from otc_assets.explorer import symbol as symbol_view
from otc_assets.explorer import venue as venue_view
from otc_assets.explorer import week as week_view
from otc_assets.explorer.asking import Ask, Asked, NotThereError, dataset_or_first, tier_or_first
from otc_assets.explorer.rendering import address, answer, assets, not_modified, render
from otc_assets.research.market import FLOOR
from otc_assets.warehouse.engine import StoreError
from otc_assets.warehouse.events import code_version

KEPT = 64
"""Pages that a process keeps, for as long as the store stays as it is."""
Facts = Callable[[], dict[str, Any]]


class PageRoute(APIRoute):
    """A route whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except NotThereError as error:
                return _problem(request, 404, "Not in the store", str(error), error.near)
            except (ValueError, RequestValidationError) as error:
                return _problem(request, 422, "This cannot be asked", _said(error))
            except StoreError as error:
                return _problem(request, 503, "The store cannot be read", str(error))

        return answered


Name = Annotated[str | None, Query(max_length=200)]
Floor = Annotated[int, BeforeValidator(lambda text: text or 0), Query(ge=0, le=10**9)]

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/")
def home(
    request: Request,
    asked: Ask,
    tier: Name = None,
    dataset: Name = None,
    floor: Floor = FLOOR,
) -> Response:
    """The market of the newest week."""
    which = tier_or_first(tier), dataset_or_first(dataset), floor
    return _page(request, asked, "home", lambda: home_view.facts(asked, *which))


@router.get("/search")
def search(request: Request, asked: Ask, q: Name = "") -> Response:
    """What a text may mean; who wrote a symbol or a venue goes there at once."""
    text = (q or "").strip()
    found = search_view.find(asked, text)
    if found.symbol:
        return _to(address("/symbol", found.symbol, as_of=asked.day))
    if found.venue:
        return _to(address("/venue", found.venue, as_of=asked.day))
    facts = {"search": text, "near": found.near, "count": len(found.rows)}
    for name, rows in (("rows", found.rows), ("venues", found.venues)):
        shown = rows.head(search_view.SHOWN).astype(object)
        facts[name] = shown.where(shown.notna(), None).to_dict("records")
    return _page(request, asked, "search", lambda: facts)


@router.get("/symbol/{symbol:path}")
def symbol(request: Request, asked: Ask, symbol: str) -> Response:
    """A symbol over time."""
    return _page(request, asked, "symbol", lambda: symbol_view.facts(asked, symbol))


@router.get("/venue/{mpid:path}")
def venue(request: Request, asked: Ask, mpid: str, tier: Name = None) -> Response:
    """A venue over time; a dealer is found by its CRD number too."""
    if named := venue_view.dealer_of(asked, mpid):
        return _to(address("/venue", named, as_of=asked.day, tier=tier))
    chosen = tier_or_first(tier) if tier else None
    return _page(request, asked, "venue", lambda: venue_view.facts(asked, mpid, chosen))


@router.get("/week")
def newest_week(asked: Ask, tier: Name = None, dataset: Name = None) -> Response:
    """The newest week of a tier."""
    of = dataset_or_first(dataset)
    week = week_view.newest(asked, of, tier_or_first(tier))
    path = "/week", week.tier.slug, str(week.week_ending)
    return RedirectResponse(address(*path, dataset=dataset, as_of=asked.day), 303)


@router.get("/week/{slug}/{week}")
def week(
    request: Request,
    asked: Ask,
    slug: str,
    week: str,
    dataset: Name = None,
    sort: Name = None,
    order: Name = None,
    q: Name = None,
    floor: Floor = 0,
    page: Annotated[int, Query(ge=1, le=1_000)] = 1,
) -> Response:
    """A week of a tier, as a table."""
    key, of = week_view.week_of(slug, week), dataset_or_first(dataset)
    view = week_view.View(sort or "total_volume", order == "up", (q or "").strip(), floor, page)
    return _page(request, asked, "week", lambda: week_view.facts(asked, key, of, view))


@router.get("/coverage")
def coverage(request: Request, asked: Ask) -> Response:
    """How complete and how good the store is."""
    return _page(request, asked, "coverage", lambda: coverage_view.facts(asked))


@router.get("/static/{name}")
def static(request: Request, name: str) -> Response:
    """The style sheet and the script, which a browser may keep: their URL has their version."""
    if name not in assets():
        raise NotThereError("No such file.")
    body, kind = assets()[name]
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(body, 200, headers, kind)


def _to(where: str) -> Response:
    return RedirectResponse(where, 303, {"Cache-Control": "no-store"})


def _page(request: Request, asked: Asked, template: str, facts: Facts) -> Response:
    """Answer with a page; with 304 if the browser has it, and from memory if it was made before."""
    if not asked.stores:
        raise StoreError("it has no week yet")
    key = _key(request, asked)
    etag = f'"{key.hex()}"'
    if etag in request.headers.get("if-none-match", ""):
        return not_modified(etag)
    shared = {"newest": asked.newest_day, "asked": asked}
    body = _pages.get(key) or render(f"{template}.html.jinja", asked.day, shared | facts())
    _pages.keep(key, body)
    return answer(request, body, etag=etag)


class _Pages:
    """The newest pages, by what they depend on."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._turn = threading.Lock()

    def get(self, key: bytes) -> bytes | None:
        return self._kept.get(key)

    def keep(self, key: bytes, body: bytes) -> None:
        with self._turn:
            self._kept[key] = body
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


_pages = _Pages()


def _key(request: Request, asked: Asked) -> bytes:
    url = f"{request.url.path}?{request.url.query}"
    found = hashlib.blake2b(asked.depends, digest_size=16)
    found.update(repr((url, code_version())).encode())
    return found.digest()


def _problem(
    request: Request, status: int, title: str, text: str, near: list[tuple[str, str]] | None = None
) -> Response:
    day = request.query_params.get("as_of", "")
    facts = {"problem": title, "text": text, "near": near or [], "status": status}
    return answer(request, render("problem.html.jinja", _day(day), facts), status)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _said(error: Exception) -> str:
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        return f"{first['loc'][-1]}: {first['msg']}"
    return str(error)
