"""Symbols and venues that a URL or a page could take for something else stay as they are."""

from urllib.parse import quote

import httpx
import pytest

from otc_assets_tests.explorer.conftest import ODD
from otc_assets_tests.explorer.tables import Page


@pytest.mark.parametrize("symbol", ODD)
def test_any_symbol_has_a_page_and_stays_as_it_is(odd_site: httpx.Client, symbol: str):
    path = f"/symbol/{quote(symbol, safe='')}"
    answer = odd_site.get(path)
    assert answer.status_code == 200
    shown = Page(answer.text)
    assert symbol in shown.text
    assert [row["ATS, shares"] for row in shown.rows("weeks-table")] == ["100"]
    assert "<script>alert" not in answer.text
    found = odd_site.get("/search", params={"q": symbol})
    assert found.headers["location"] == path


def test_case_is_never_folded_on_the_way_to_a_page(odd_site: httpx.Client):
    upper, lower = (odd_site.get(f"/symbol/{symbol}").text for symbol in ("BRK.B", "brk.b"))
    assert "<h1>BRK.B" in upper
    assert "<h1>brk.b" in lower
    both = Page(odd_site.get("/search", params={"q": "Brk.b"}).text).links
    assert {"/symbol/BRK.B", "/symbol/brk.b"} <= set(both)


def test_a_venue_is_escaped_too(odd_site: httpx.Client):
    answer = odd_site.get(f"/venue/{quote('<b>V', safe='')}")
    assert answer.status_code == 200
    assert "<b>V" not in answer.text
