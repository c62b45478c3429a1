"""From a template and its facts to the bytes of a page, with the head that keeps others out."""

import gzip
import hashlib
import math
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request, Response

from otc_assets.domain.tiers import Tier
from otc_assets.research.look import FILTERS, NAMES, css

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SMALL = 1_000
"""Bytes that are not worth compressing."""


def address(path: str, *parts: str, **arguments: Any) -> str:
    """Return a URL of this server: parts of the path and arguments may be any text."""
    whole = "/".join([path, *(quote(part, safe="") for part in parts)])
    given = {name: value for name, value in arguments.items() if value not in (None, "")}
    return f"{whole}?{urlencode(given)}" if given else whole


@cache
def assets() -> dict[str, tuple[bytes, str]]:
    """Return the files that pages load, by name, and their media types."""
    script = files("otc_assets.explorer").joinpath("static/explorer.js").read_bytes()
    return {
        "look.css": (css().encode(), "text/css"),
        "explorer.js": (script, "text/javascript"),
    }


@cache
def version_of(name: str) -> str:
    """Return what changes when a file does, so that browsers may keep it for good."""
    return hashlib.blake2b(assets()[name][0], digest_size=6).hexdigest()


@cache
def environment() -> jinja2.Environment:
    """Return the templates' environment: it escapes, and knows of no undefined names."""
    loader = jinja2.ChoiceLoader(
        [
            jinja2.PackageLoader("otc_assets.explorer", "templates"),
            jinja2.PackageLoader("otc_assets.research", ""),
        ]
    )
    found = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= FILTERS
    found.globals |= {"static": _static, "tiers": list(Tier), "isnan": math.isnan, **NAMES}
    return found


def _static(name: str) -> str:
    return f"/static/{name}?v={version_of(name)}"


def render(template: str, day: date | None, facts: dict[str, Any]) -> bytes:
    """Return a page; its links keep the day of knowledge."""

    def link(path: str, *parts: str, **arguments: Any) -> str:
        return address(path, *parts, **{"as_of": day, **arguments})

    text = environment().get_template(template).render(day=day, link=link, **facts)
    return text.encode("utf-8", "replace")


@lru_cache(maxsize=64)
def compressed(body: bytes) -> bytes:
    """Return a page as gzip."""
    return gzip.compress(body, 5, mtime=0)


def not_modified(etag: str) -> Response:
    """Tell a browser that it has the page; it takes the head of this answer for the page's."""
    return Response(None, 304, _headers(etag))


def _headers(etag: str) -> dict[str, str]:
    headers = {"Content-Security-Policy": POLICY, "Vary": "Accept-Encoding, Authorization"}
    if etag:
        headers |= {"ETag": etag, "Cache-Control": "private, no-cache"}
    return headers


def answer(request: Request, body: bytes, status: int = 200, etag: str = "") -> Response:
    """Return a page as an answer."""
    headers = _headers(etag)
    if "gzip" in request.headers.get("accept-encoding", "") and len(body) > SMALL:
        body, headers = compressed(body), headers | {"Content-Encoding": "gzip"}
    return Response(body, status, headers, "text/html; charset=utf-8")
