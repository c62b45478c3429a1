"""What FINRA's facilities saw of each symbol in a week, as it was known on a day.

The week is the sum of its trading days (`reg_sho_daily`). It is known once all of them are, and
never in part: a part would look like a fall. The days are of NMS stocks alone.
"""

from datetime import date, timedelta
from itertools import chain

import pandas as pd

from otc_assets.domain.calendar import is_business_day
from otc_assets.domain.grains import ALL, SliceKey
from otc_assets.domain.neighbours import REG_SHO_DAILY
from otc_assets.domain.revisions import Revision
from otc_assets.domain.tiers import Tier
from otc_assets.domain.weeks import WeekKey
from otc_assets.operations.frames import Knowledge
from otc_assets.warehouse.reader import SliceReader

SUMMED = "short_volume"
"""The table of the days. `week_to_date` is not read: between a correction of a day and the refresh
of the days after it, it is older than the revisions say."""


def trading_days_of(week: WeekKey) -> list[SliceKey]:
    """Return the days of a week on which the market was open."""
    days = [week.monday + timedelta(days=n) for n in range(5)]
    return [REG_SHO_DAILY.key(ALL, day) for day in days if is_business_day(day)]


def revisions_of_days(days: SliceReader | None, week: WeekKey) -> list[Revision]:
    """Return every revision of the days of a week; none while not each of them was computed.

    Args:
        days: the days of the store; None if it has none.
        week: of one tier. Of OTC there are none.

    """
    if days is None or week.tier is Tier.OTC:
        return []
    mine = trading_days_of(week)
    computed = days.weeks_of(SUMMED, ALL, mine[0].period, mine[-1].period)
    if not {day.period for day in mine} <= set(computed):
        return []
    return list(chain.from_iterable(days.revisions(mine).values()))


def facilities_on(days: SliceReader, week: WeekKey, day: date) -> pd.DataFrame | None:
    """Return what was known of a week at the end of a day, None if a trading day was lacking.

    One row per symbol (the index): ``total_volume`` and ``short_volume`` of all facilities and
    days together, in millionths of a share.
    """
    mine = trading_days_of(week)
    known = Knowledge(days, mine[-1], day)  # which looks back at the days before
    if not known.revisions.keys() >= set(mine):
        return None
    rows = pd.concat([known.table(SUMMED, each) for each in mine])
    return rows.groupby("symbol")[["total_volume", "short_volume"]].sum()
