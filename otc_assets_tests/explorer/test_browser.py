"""What a browser makes of the pages: slider, search box, a phone, print, and the network."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from otc_assets_tests.explorer.browser import Browser
from otc_assets_tests.explorer.tables import Page

CORRECTED, BEFORE, CORRECTION = "2025-05-23", "2025-07-15", "2025-07-16"
VIEWS = ["/", "/symbol/FNWL", "/venue/ABCD", "/week/nms_tier_1/2025-05-23", "/coverage"]
PHONE, SMALLEST_PHONE, DESK = 390, 320, 1280


def shown(browser: Browser) -> Page:
    """The page as it is now."""
    return Page(browser.ask("document.documentElement.outerHTML"))


@pytest.fixture(scope="module")
def store_url(judged_home: Path) -> str:
    """On SQLite alone: where a page's rows are is nothing to a browser."""
    return f"sqlite:///{judged_home / 'otc.db'}"


@pytest.fixture
def base(site: httpx.Client) -> str:
    """Where the explorer is."""
    return str(site.base_url).rstrip("/")


def volume(page: Page) -> str:
    """What the table says of the corrected week."""
    (row,) = (r for r in page.rows("weeks-table") if r["Week ending"] == CORRECTED)
    return row["ATS, shares"]


def test_the_slider_shows_each_day_as_the_server_does(
    browser: Browser, site: httpx.Client, base: str
):
    browser.look(DESK)
    browser.open(f"{base}/symbol/FNWL")
    days = browser.ask("document.querySelector('[data-days]').dataset.days").split()
    assert browser.ask("document.querySelector('[data-days]').hidden") is False
    for at in (0, len(days) - 1, len(days) - 2):
        browser.ask(
            "{const range = document.querySelector('[data-days]');"
            f"range.value = {at}; range.dispatchEvent(new Event('input', {{bubbles: true}}));}}"
        )
        browser.until(f"document.querySelector('#known').dataset.day === '{days[at]}'")
        assert urlsplit(browser.ask("location.href")).query == f"as_of={days[at]}"
        served = Page(site.get(f"/symbol/FNWL?as_of={days[at]}").text)
        assert shown(browser).tables == served.tables


def test_the_search_box_suggests_and_the_keyboard_is_enough(browser: Browser, base: str):
    browser.look(DESK)
    browser.open(f"{base}/")
    browser.until("document.activeElement.name === 'q'")  # given with the first picture of a page
    browser.do("Input.insertText", text="fnw")
    browser.until("document.querySelectorAll('#found li').length > 1")
    press(browser, "ArrowDown")
    first = browser.ask("document.querySelector('#found li.active b').textContent")
    press(browser, "Enter")
    browser.until(f"location.pathname === '/symbol/{first}' && document.readyState === 'complete'")


def test_the_search_box_suggests_venues_after_symbols(browser: Browser, base: str):
    browser.open(f"{base}/")
    browser.until("document.activeElement.name === 'q'")
    browser.do("Input.insertText", text="candle")
    browser.until("document.querySelectorAll('#found li').length === 1")
    press(browser, "ArrowDown")
    press(browser, "Enter")
    browser.until("location.pathname === '/venue/CNDL' && document.readyState === 'complete'")


def press(browser: Browser, key: str) -> None:
    """Press a key."""
    for kind in ("keyDown", "keyUp"):
        code = {"Enter": 13, "ArrowDown": 40}[key]
        text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
        browser.do("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)


def test_a_form_changes_the_page_and_its_address(browser: Browser, base: str):
    browser.look(DESK)
    browser.open(f"{base}/")
    browser.ask(
        "{const field = document.querySelector('[name=floor]:not([type=hidden])');"
        "field.value = 20000; field.dispatchEvent(new Event('change', {bubbles: true}));}"
    )
    browser.until("location.search.includes('floor=20000')")
    assert "at least 20,000 trades" in shown(browser).text


def test_a_table_is_sorted_by_its_head(browser: Browser, base: str):
    browser.look(DESK)
    browser.open(f"{base}/")
    browser.ask("document.querySelectorAll('#by-shares-table thead button')[3].click()")
    percents = [
        float(row["Change, %"].replace(",", "").replace("−", "-"))  # noqa: RUF001
        for row in shown(browser).rows("by-shares-table")
    ]
    assert percents == sorted(percents, reverse=True)


@pytest.mark.parametrize("width", [PHONE, SMALLEST_PHONE, DESK])
@pytest.mark.parametrize("view", VIEWS)
def test_no_page_scrolls_sideways_or_asks_elsewhere(
    browser: Browser, base: str, view: str, width: int
):
    """Tables that are wider than a phone scroll in their own box."""
    browser.look(width)
    browser.requests.clear()
    browser.complaints.clear()
    browser.open(base + view)
    assert (
        browser.ask("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        <= 0
    )
    assert {urlsplit(url).hostname for url in browser.requests if not url.startswith("data:")} == {
        "127.0.0.1"
    }
    assert browser.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_on_every_ground(browser: Browser, base: str, scheme: str):
    """WCAG AA: 4.5 for text, 3 for the focus and for what a control is known by."""
    browser.look(DESK, scheme)
    browser.open(f"{base}/")
    names = ["bg", "panel", "ink", "muted", "accent", "on-accent", "up", "down", "note", "note-ink"]
    colours = {
        name: browser.ask(
            f"getComputedStyle(document.documentElement).getPropertyValue('--{name}').trim()"
        )
        for name in names
    }
    for ink in ("ink", "muted", "accent", "up", "down"):
        for ground in ("bg", "panel"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5
    assert contrast(colours["note-ink"], colours["note"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, by WCAG's formula."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_print_has_the_facts_without_the_controls(browser: Browser, base: str):
    browser.look(DESK, "dark", media="print")
    browser.open(f"{base}/symbol/FNWL?as_of={BEFORE}")
    visible = "(e => e && e.offsetParent !== null)(document.querySelector('{}'))"
    assert browser.ask(visible.format("#weeks-table"))
    assert browser.ask(visible.format("#known"))
    assert not browser.ask(visible.format("form.search"))
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.do("Page.printToPDF")["data"]


def test_every_field_has_a_name(browser: Browser, base: str):
    browser.look(DESK)
    for view in VIEWS:
        browser.open(base + view)
        nameless = browser.ask(
            "[...document.querySelectorAll('input:not([type=hidden]), select')]"
            ".filter(e => !e.labels?.length && !e.ariaLabel).length"
        )
        assert nameless == 0


def test_without_script_the_page_is_whole(browser: Browser, site: httpx.Client, base: str):
    browser.do("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"{base}/symbol/FNWL?as_of={BEFORE}")
        assert volume(shown(browser)) == volume(Page(site.get(f"/symbol/FNWL?as_of={BEFORE}").text))
        assert browser.ask("document.querySelector('.days button').offsetParent !== null")
    finally:
        browser.do("Emulation.setScriptExecutionDisabled", value=False)
