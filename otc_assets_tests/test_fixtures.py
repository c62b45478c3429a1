"""The fixtures are what their generator writes; their months and days are sums of their weeks.

Judged from the lines of the files alone, by none of the project's code.
"""

import csv
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from otc_assets_tests.conftest import FIXTURES, REPOSITORY

TIERS = ("tier1", "tier2", "otc")
INSIDE = {"2025-05-01": (1, 2, 3, 4), "2025-06-01": (5, 6, 7, 8)}
"""The weeks that lie in a month, by their place among the ten."""
CUT = {"2025-05-01": 0, "2025-06-01": 9}
"""The week that each month cuts."""
FOLD = "0"
each_month = pytest.mark.parametrize("month", INSIDE)


def _bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.suffix in (".csv", ".json", ".psv", ".txt"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_generator_writes_these_files_byte_for_byte(tmp_path: Path):
    (tmp_path / "fixtures").mkdir()
    for script in FIXTURES.glob("*.py"):
        shutil.copy(script, tmp_path / "fixtures")
    subprocess.run([sys.executable, tmp_path / "fixtures" / "generate.py"], check=True)
    for folder in ("fixtures", "otc_assets_tests/golden/two_symbols"):
        written, kept = (_bytes(root / folder) for root in (tmp_path, REPOSITORY))
        assert written == kept, f"run `make fixtures` ({folder})"


def pools(week: int, tiers: Iterable[str]) -> Iterator[tuple[str, str, Decimal]]:
    """Venue, symbol and shares of each good line of ATSs, as corrected."""
    for tier in tiers:
        files = sorted(FIXTURES.glob(f"finra_otc_weekly_{tier}_2025????.csv"))
        corrected = files[week].with_stem(f"{files[week].stem}_corrected_20250716")
        path = corrected if corrected.exists() else files[week]
        for line in sorted({*path.read_text().splitlines()[1:]}):
            fields = line.split("|")
            yield fields[4], fields[1], Decimal(fields[5])


def dealers(week: int, tiers: Iterable[str]) -> Iterator[tuple[str, str, Decimal]]:
    """The same of dealers, by CRD number."""
    for tier in tiers:
        path = sorted(FIXTURES.glob(f"non_ats/finra_non_ats_{tier}_week_*.json"))[week]
        for row in json.loads(path.read_text(), parse_float=Decimal):
            shares = Decimal(row["totalWeeklyShareQuantity"])
            yield str(row["firmCRDNumber"]), row["issueSymbolIdentifier"], shares


def rows(folder: str, stem: str, month: str) -> list[dict[str, str]]:
    """The rows of a month's file, the corrected one if there is one."""
    path = sorted(FIXTURES.glob(f"{folder}/finra_{stem}_month_{month}*.csv"))[-1]
    with path.open() as file:
        return list(csv.DictReader(file))


def dealers_month(tier: str, month: str) -> Iterator[tuple[str, str, Decimal]]:
    for row in rows("monthly_non_ats", f"monthly_non_ats_{tier}", month):
        shares = Decimal(row["totalMonthlyShareQuantity"])
        yield row["firmCRDNumber"], row["issueSymbolIdentifier"], shares


def total(parts: Iterable[tuple[str, str, Decimal]], *fields: int) -> Counter:
    """Shares by some of the fields: 0 is the venue, 1 the symbol."""
    found: Counter = Counter()
    for part in parts:
        found[tuple(part[field] for field in fields)] += part[2]
    return found


def held(read, month: str, tiers: Iterable[str], *fields: int) -> tuple[Counter, Counter]:
    """What the weeks inside a month hold, and the week that it cuts."""
    inside = (part for week in INSIDE[month] for part in read(week, tiers))
    return total(inside, *fields), total(read(CUT[month], tiers), *fields)


@each_month
def test_a_venues_month_is_its_weeks_inside_and_a_part_of_the_one_that_is_cut(month: str):
    inside, cut = held(pools, month, TIERS[:2], 0)
    found = {(r["MPID"],): r["totalShareQuantity"] for r in rows("ats_blocks", "ats_blocks", month)}
    assert found.keys() == (inside + cut).keys()
    for venue, shares in found.items():
        assert inside[venue] <= Decimal(shares) <= inside[venue] + cut[venue]
    assert inside.total() < sum(map(Decimal, found.values())) < (inside + cut).total()


@each_month
@pytest.mark.parametrize(("tier", "tiers"), [("nms", TIERS[:2]), ("otc", TIERS[2:])])
def test_so_is_a_symbols_of_dealers_whoever_is_folded(month: str, tier: str, tiers: list[str]):
    inside, cut = held(dealers, month, tiers, 1)
    found = total(dealers_month(tier, month), 1)
    for symbol, shares in found.items():
        assert inside[symbol] <= shares <= inside[symbol] + cut[symbol]
    assert inside.total() < found.total() < (inside + cut).total()


@each_month
def test_what_firms_lack_in_a_month_is_in_its_fold(month: str):
    inside, _ = held(dealers, month, TIERS[2:], 0, 1)
    named = {key: shares for key, shares in inside.items() if key[0] != FOLD}
    found = total(dealers_month("otc", month), 0, 1)
    lacking = [(key, shares) for key, shares in named.items() if found[key] < shares]
    assert lacking  # some firm that a week names is folded
    for (_, symbol), shares in lacking:
        assert found[FOLD, symbol] >= shares


@each_month
def test_dealers_with_blocks_have_the_shares_of_their_month(month: str):
    found = rows("otc_blocks", "otc_blocks", month)
    shares = {row["crdFirmName"]: Decimal(row["totalShareQuantity"]) for row in found}
    assert sum(shares.values()) == total(dealers_month("nms", month)).total()


def test_the_days_of_a_week_have_a_little_less_than_its_venues():
    days = [FIXTURES / f"reg_sho_daily/CNMSshvol{day}.txt" for day in range(20250701, 20250704)]
    days.append(FIXTURES / "reg_sho_daily/CNMSshvol20250630.txt")
    lines = [line.split("|") for path in days for line in path.read_text().splitlines()[1:-1]]
    found = total((("", fields[1], Decimal(fields[4])) for fields in lines), 1)
    week = [part for read in (pools, dealers) for part in read(CUT["2025-06-01"], TIERS[:2])]
    traded = total(week, 1)
    assert found.keys() <= traded.keys()
    assert all(shares <= traded[symbol] for symbol, shares in found.items())
    assert 94 <= 100 * found.total() / traded.total() <= 99
