"""A clock that jumps: back a day or a year, over the end of a year, between writes and amid them.

While it is behind a file's newest date, that file is refused. So the first part of each story ends
with a run whose clock is right.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import pandas as pd

from chaos import claims
from chaos.experiment import Counts, Experiment, Round
from otc_assets.domain import calendar
from otc_assets.domain.tiers import Tier
from otc_assets.research import as_of
from otc_assets.warehouse import writer
from otc_assets.warehouse.store import Warehouse
from otc_assets_tests.conftest import FIXTURES
from otc_assets_tests.pipeline import content, run, weeks

SLICES = weeks([Tier.NMS_TIER_1], "2025-05-16", "2025-05-23")
"""A corrected week is among them."""
DROPPED = "finra_otc_weekly_tier1_20250602.csv"
"""Of this file a row is taken out later, so that its second content is captured."""
START = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
JUMPS = [timedelta(days=n) for n in (-1, -1, 1, 2, -7, 30, -150, 150, -365, 365, -0.1)]
EARLIEST, LATEST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 2, 28, tzinfo=UTC)
ASKED = [date(2025, 6, 2), date(2025, 6, 9), date(2025, 6, 16), date(2025, 7, 16), date(2025, 8, 1)]
"""Days on which something became public, and one after all of them, before any capture."""

Now = Callable[[], datetime]


@contextmanager
def prepare(folder: Path) -> Iterator[Round]:
    """Do a quiet run, in two parts: the second has a content that FINRA gave no day."""
    first, second = folder / "first", folder / "second"
    for each in (first, second):
        each.mkdir()
        for path in FIXTURES.glob("finra_otc_weekly_tier1_202506*.csv"):
            shutil.copy(path, each)
    lines = (second / DROPPED).read_bytes().splitlines(keepends=True)
    (second / DROPPED.replace(".csv", "_later.csv")).write_bytes(b"".join(lines[:5] + lines[6:]))
    Warehouse(f"sqlite:///{folder / 'empty.db'}").engine.dispose()
    quiet = _story(folder, "quiet", lambda: START)

    def play(random: Random, counts: Counts) -> None:
        found = _story(folder, "jumping", _jumping(random, counts))
        assert found[0] == quiet[0], "without captured contents"
        for day, ours, theirs in zip(ASKED, found[1], quiet[1], strict=True):
            pd.testing.assert_frame_equal(ours, theirs, obj=f"as_of({day})")

    yield play


def _jumping(random: Random, counts: Counts) -> Now:
    moment = START

    def now() -> datetime:
        nonlocal moment
        moment += timedelta(milliseconds=5)
        if random.random() < 0.2:
            moment = min(LATEST, max(EARLIEST, moment + random.choice(JUMPS)))
            counts["jumps"] += 1
        return moment

    return now


def _story(folder: Path, name: str, now: Now) -> tuple[str, list[pd.DataFrame]]:
    """Return the content before anything is captured, and the answers at the end.

    What may differ of the rest is the day of the captured content, which is the clock's.
    """
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(folder / "empty.db", place / "otc.db")
    store = Warehouse(f"sqlite:///{place / 'otc.db'}")
    with _clock(now):
        run(store, folder / "first", place / "archive", SLICES, calendar.today())
        run(store, folder / "first", place / "archive", SLICES, calendar.today())
    run(store, folder / "first", place / "archive", SLICES, START.date())
    before = content(store)
    with _clock(now):
        run(store, folder / "first", place / "archive", SLICES, calendar.today())
        assert content(store) == before, "a repeat changed something"
    with _clock(lambda: max(now(), START)):
        run(store, folder / "second", place / "archive", SLICES, calendar.today())
    _check_captured(store)
    claims.every_cause_is_there(claims.answer_of(store.url).events)
    answers = [as_of(day, database_url=store.url) for day in ASKED]
    store.engine.dispose()
    return before, answers


@contextmanager
def _clock(now: Now) -> Iterator[None]:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return now().astimezone(tz)

    with ExitStack() as stack:
        for module in (calendar, writer):
            stack.enter_context(mock.patch.object(module, "datetime", Clock))
        yield


def _check_captured(store: Warehouse) -> None:
    """Make sure that one content alone has a day of the clock's, within the days that it had."""
    with store.read() as reader:
        records = [record for week in SLICES for record in reader.records("revisions", week)]
    (captured,) = [r["revision_date"] for r in records if r["as_of_source"] == "captured"]
    assert EARLIEST.date() <= captured + timedelta(days=1) <= LATEST.date() + timedelta(days=1)


CLOCK = Experiment(
    name="clock",
    claim="rows and answers are those of a quiet run, but for the day of a captured content",
    short=2,
    long=500,
    prepare=prepare,
)
