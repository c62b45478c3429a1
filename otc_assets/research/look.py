"""What the page and the explorer share beside their pictures: style sheet, numbers, names."""

from importlib.resources import files
from typing import Any
from urllib.parse import quote

from otc_assets.research.plots import short

NAMES: dict[str, dict[str, str]] = {
    "short_tier": {"NMS Tier 1": "Tier 1", "NMS Tier 2": "Tier 2", "OTC": "OTC"},
    "title": {"ats": "ATS", "non_ats": "Dealers (non-ATS)"},
}
NONE = "–"  # noqa: RUF001  # a dash, as tables have it


def css() -> str:
    """Return the style sheet."""
    return files("otc_assets.research").joinpath("look.css").read_text()


def lacks(value: Any) -> bool:
    """Tell whether a table has no number here: None, NaN or NA."""
    return value is None or bool(value != value)  # noqa: PLR0124  # NaN is not itself


def exact(number: Any) -> str:
    """Return a quantity with all its decimals, and none that it does not need."""
    return NONE if lacks(number) else f"{number:,.6f}".rstrip("0").rstrip(".")


def fixed(number: Any, decimals: int = 0) -> str:
    """Return a number with some decimals."""
    return NONE if lacks(number) else f"{number:,.{decimals}f}"


def signed(number: Any, decimals: int = 1) -> str:
    """Return a change, with its sign."""
    if lacks(number):
        return NONE
    text = f"{number:+,.{decimals}f}"
    if not text.strip("+-0.,"):
        return text.lstrip("+-")
    return text.replace("-", "−")  # noqa: RUF001  # a minus, as wide as a plus


def day_of(moment: Any) -> str:
    """Return a day as text, of whatever pandas or a database has."""
    return NONE if moment is None or lacks(moment) else str(moment)[:10]


def without(name: str | None, mpid: str) -> str:
    """Return the name of a venue without its mpid, which FINRA writes before many."""
    return "" if not name or name in mpid else name.removeprefix(mpid).strip()


FILTERS = {
    "without": without,
    "exact": exact,
    "fixed": fixed,
    "signed": signed,
    "short": lambda number: NONE if lacks(number) else short(number),
    "day": day_of,
    "path": lambda text: quote(text, safe=""),
}
