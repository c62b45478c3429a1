"""Invented weeks in FINRA's download dialect and real proportions, the same bytes each time."""

from datetime import date
from pathlib import Path
from random import Random

from otc_assets.domain.calendar import expected_publication_date
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey

FIRST_FRIDAY = date(2024, 1, 5)
ROWS = {Tier.NMS_TIER_1: 70_730, Tier.NMS_TIER_2: 180_000, Tier.OTC: 5_300}
"""A real week's rows of ATS venues by symbol."""
SYMBOLS = {Tier.NMS_TIER_1: 2_400, Tier.NMS_TIER_2: 7_300, Tier.OTC: 3_100}
VENUES = {Tier.NMS_TIER_1: 32, Tier.NMS_TIER_2: 32, Tier.OTC: 9}
FRACTIONAL = 0.13
"""Part of the rows with a fraction of a share, as since 2026."""
HEADER = (
    "tierDescription|issueSymbolIdentifier|issueName|marketParticipantName|MPID"
    "|totalWeeklyShareQuantity|totalWeeklyTradeCount|lastUpdateDate\n"
)


def week_number(tier: Tier, number: int) -> WeekKey:
    """Return a slice by its number from the first."""
    return WeekKey(tier, FIRST_FRIDAY).shifted(number)


def write_week(folder: Path, week: WeekKey, scale: float = 1.0) -> Path:
    """Write the file of one slice, with ``scale`` times the rows of a real one."""
    rng = Random(str(week))
    published = expected_publication_date(week)
    symbols = round(SYMBOLS[week.tier] * scale)
    names = Random(week.tier.value)
    issues = [f"{_code(n)}|{_issue(names)}" for n in range(symbols)]
    venues = [f"{_venue(n)} EXAMPLE VENUE {n:02} LLC|{_venue(n)}" for n in range(VENUES[week.tier])]
    pairs = rng.sample(range(symbols * len(venues)), round(ROWS[week.tier] * scale))
    lines = [HEADER]
    for pair in sorted(pairs):
        symbol, venue = divmod(pair, len(venues))
        trades = max(1, round(rng.lognormvariate(4, 1.8)))
        shares: float | int = round(trades * rng.uniform(40, 250))
        if rng.random() < FRACTIONAL:
            shares = round(shares + rng.random(), rng.randint(1, 6))
        lines.append(
            f"{week.tier}|{issues[symbol]}|{venues[venue]}|{shares}|{trades}|{published}\n"
        )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{week.tier.slug}_week_{week.week_ending}.csv"
    path.write_text("".join(lines))
    return path


def _code(number: int) -> str:
    letters = ""
    for _ in range(4):
        number, rest = divmod(number, 26)
        letters = chr(65 + rest) + letters
    return letters


def _venue(number: int) -> str:
    return f"V{number:02}X"


def _issue(rng: Random) -> str:
    word = "".join(rng.choice(("bra", "dol", "fen", "gwi", "kel", "lum")) for _ in range(4))
    return f"{word.capitalize()} Holdings Inc. Common Stock" + rng.choice(("", " Class A", " ADR"))
